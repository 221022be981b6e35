// The page: reads its settings, starts the worker, and shows the view that the address names.

import { count, h, plural, size } from './dom.js'
import { go, linkTo, readAddress, writeAddress } from './address.js'
import { Marks } from './marks.js'
import { PictureView } from './picture.js'
import { Reader, Thumbs } from './worker_link.js'
import { Wall } from './wall.js'
import { drawChips, drawFacets } from './sidebar.js'
import { drawChanges, drawDuplicates, drawPairs, drawRejected } from './views.js'
import { drawNumbers } from './numbers.js'

const TYPING_MS = 180
const TITLES = { pictures: 'Pictures', pairs: 'Pairs', duplicates: 'Near-duplicates', changes: 'Changes', rejected: 'Rejected', numbers: 'Numbers' }
const SORTS = { '': 'as in the release', worst: 'lowest adherence first', best: 'highest adherence first' }
const find = (id) => document.getElementById(id)
const say = (text) => { find('status').textContent = text }

function fail(message) {
  const box = find('problem')
  box.hidden = false
  box.replaceChildren(h('strong', {}, 'This release cannot be shown in full: '), message)
}

async function start() {
  const response = await fetch('explorer.json')
  if (!response.ok) throw new Error('explorer.json, which says where the release is, cannot be read')
  const settings = await response.json()
  for (const name of ['release', 'previous', 'thumbnails', 'rejected']) {
    if (settings[name]) settings[name] = new URL(settings[name], document.baseURI).href
  }
  const reader = new Reader()
  reader.on('problem', ({ message }) => fail(message))
  const about = await reader.ask('open', settings)
  new Explorer(reader, about, settings).start()
}

class Explorer {
  constructor(reader, about, settings) {
    Object.assign(this, { reader, about, settings })
    this.marks = new Marks(about.name)
    this.thumbs = new Thumbs(reader)
    this.picture = new PictureView(reader, this.thumbs, this.marks, about.features !== null)
    this.rows = new Uint32Array(0)
    this.wall = new Wall(reader, this.thumbs, {
      open: (row) => this.#open(row), mark: (id) => this.marks.toggle(id), isMarked: (id) => this.marks.has(id),
    })
    document.body.append(this.picture.dialog)
    this.rankings = new Map()
  }

  start() {
    const { about } = this
    document.title = `${about.title} ${about.version}`
    find('title').replaceChildren(h('bdi', { title: about.title }, about.title), h('span.version', {}, about.version))
    find('wall-place').append(this.wall.element)
    this.#drawTools()
    this.#connect()
    this.wall.set(Uint32Array.from({ length: about.numRows }, (_, row) => row), null) // pictures first, then what is known of them
    this.rows = this.wall.rows
    this.#draw()
  }

  #connect() {
    addEventListener('hashchange', () => this.#draw())
    addEventListener('facets-changed', () => this.#drawSide())
    this.marks.addEventListener('change', () => this.#drawMarks())
    this.#drawMarks()
    this.reader.on('facets', () => this.#select(true))
    this.reader.on('scores', () => { this.#drawTools(); this.#select(true) })
    this.reader.on('texts', () => this.wall.refresh())
    this.reader.on('progress', ({ stage, done, total }) => {
      find('progress').textContent = done < total ? `${stage}: ${Math.round((100 * done) / total)} %` : ''
      this.#drawTraffic()
    })
    find('facets-button').addEventListener('click', () => this.#fold(!document.body.classList.contains('with-facets')))
    find('main').addEventListener('click', (event) => { // on a phone, a tap beside the open filters only closes them
      if (!document.body.classList.contains('with-facets') || event.target.closest('#facets, #facets-button')) return
      event.stopPropagation()
      this.#fold(false)
    }, true)
    document.addEventListener('keydown', (event) => {
      if (event.key === '/' && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
        event.preventDefault()
        find('search').focus()
      }
      if (event.key === 'Escape') this.#fold(false)
    })
    const search = find('search')
    const run = (replace) => {
      clearTimeout(this.typing)
      const isMeaning = find('meaning').checked
      go({ q: isMeaning ? '' : search.value, meaning: isMeaning ? search.value : '', like: '', view: 'pictures', picture: null }, replace)
    }
    search.addEventListener('input', () => {
      clearTimeout(this.typing)
      if (!find('meaning').checked) this.typing = setTimeout(() => run(true), TYPING_MS)
    })
    find('search-form').addEventListener('submit', (event) => { event.preventDefault(); run(false) })
    find('meaning').addEventListener('change', () => { if (search.value) run(false) })
    find('meaning-label').hidden = !this.settings.searches
  }

  #fold(isOpen) {
    document.body.classList.toggle('with-facets', isOpen)
    find('facets-button').setAttribute('aria-expanded', String(isOpen))
  }

  #drawTools() {
    const sort = h('select', { id: 'sort', onchange: () => go({ sort: sort.value, like: '' }) },
      Object.entries(SORTS).map(([value, text]) => h('option', { value, selected: readAddress().sort === value }, text)))
    const sizes = h('input', { type: 'range', min: '72', max: '300', value: String(this.wall.target), 'aria-label': 'size of pictures', oninput: () => this.wall.setSize(Number(sizes.value)) })
    find('tools').replaceChildren(...[this.about.features ? h('label', {}, 'Order ', sort) : null, h('label.sizes', {}, 'Size ', sizes)].filter(Boolean))
  }

  #drawNav(state) {
    const { about, settings } = this
    const has = { pictures: true, pairs: about.hasPairs, duplicates: about.hasGroups, changes: about.hasChanges, rejected: settings.rejected, numbers: true }
    find('views').replaceChildren(...Object.entries(TITLES).filter(([view]) => has[view]).map(([view, title]) => h('a', {
      href: writeAddress({ ...readAddress(), view, picture: null, category: '', decision: '', kind: '' }), 'aria-current': view === state.view ? 'page' : null,
    }, title)))
    find('views').querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }

  #drawMarks() {
    const { size: number } = this.marks
    const box = find('marks')
    if (!number) {
      box.replaceChildren()
      return
    }
    box.replaceChildren(
      h('a', { href: linkTo({ view: 'pictures', picture: null, marked: 'yes' }) }, `${count(number)} marked`),
      h('button', { type: 'button', onclick: () => this.#export() }, 'Export exclusions.csv'),
      h('button', { type: 'button', onclick: () => { this.marks.clear(); this.wall.refresh() } }, 'Clear'))
  }

  #export() {
    const address = URL.createObjectURL(new Blob([this.marks.toCsv()], { type: 'text/csv' }))
    const link = h('a', { href: address, download: 'exclusions.csv' })
    document.body.append(link)
    link.click()
    link.remove()
    setTimeout(() => URL.revokeObjectURL(address), 1000)
  }

  async #drawTraffic() {
    const { numBytes, numRequests, hasRanges } = await this.reader.ask('traffic')
    find('traffic').textContent = `${size(numBytes)} read in ${count(numRequests)} requests`
    if (!hasRanges) {
      find('no-ranges').hidden = false
    }
  }

  #open(row) {
    this.reader.ask('tiles', [row]).then(([tile]) => { if (tile.id) go({ picture: tile.id }) })
    this.returnTo = row
  }

  async #draw() {
    const state = readAddress()
    this.#drawNav(state)
    const search = find('search')
    if (document.activeElement !== search) search.value = state.meaning || state.q
    if (state.meaning) find('meaning').checked = true
    else if (state.q) find('meaning').checked = false
    const isWall = state.view === 'pictures'
    document.body.dataset.view = state.view
    find('wall-view').hidden = !isWall
    find('other-view').hidden = isWall
    if (isWall) await this.#select(false)
    else await this.#drawOther(state)
    if (state.picture) await this.picture.show(state.picture, this.rows)
    else if (this.picture.dialog.open) {
      const { row } = this.picture
      this.picture.hide()
      if (isWall) this.wall.focusRow(row ?? this.returnTo)
    }
    this.#drawTraffic()
  }

  async #drawOther(state) {
    const { picture, ...shown } = state
    const key = JSON.stringify(shown)
    if (this.shownOther === key) return
    this.shownOther = key
    const draw = { pairs: drawPairs, duplicates: drawDuplicates, changes: drawChanges, rejected: drawRejected, numbers: (reader) => drawNumbers(reader, this.about) }[state.view]
    say(`${TITLES[state.view]}: reading`)
    try {
      const drawn = await draw(this.reader, this.thumbs, state)
      if (this.shownOther !== key) return
      find('other-view').replaceChildren(drawn)
      say(TITLES[state.view])
    } catch (error) {
      find('other-view').replaceChildren(h('p.problem', { role: 'alert' }, error.message))
    }
  }

  /** Filter and sort the wall as the address says; `keep` its place where only more has become known. */
  async #select(keep) {
    const state = readAddress()
    if (state.view !== 'pictures') return
    const { picture, ...shown } = state
    const marked = state.marked ? [...this.marks.reasons.keys()] : null
    const key = JSON.stringify([shown, marked])
    const turn = this.turn = (this.turn ?? 0) + 1
    try {
      if (!keep && this.shownWall === key) return
      const ranking = state.meaning ? await this.#rank(state.meaning) : null
      const adherence = state.adherence ? state.adherence.split('~').map(Number) : null
      const view = { facets: state.facets, text: state.q, adherence, sort: state.sort, like: state.like || null, marked, ranking }
      const selection = await this.reader.ask('select', view)
      if (turn !== this.turn) return
      const isSame = this.shownWall === key
      this.shownWall = key
      this.shownOther = null
      this.selection = selection
      if (!isSame || selection.rows.length !== this.rows.length) {
        this.rows = selection.rows
        this.wall.set(selection.rows, selection.similarities, isSame)
      }
      this.#drawSide()
      const total = this.about.numRows
      const text = this.rows.length === total ? plural(total, 'picture') : `${count(this.rows.length)} of ${plural(total, 'picture')}`
      find('count').textContent = text
      find('none').hidden = this.rows.length > 0
      say(text)
      find('search-problem').textContent = this.unknown ?? ''
    } catch (error) {
      if (turn === this.turn) {
        find('search-problem').textContent = error.message
        find('count').textContent = ''
        this.rows = new Uint32Array(0)
        this.shownWall = key
        this.wall.set(this.rows, null)
        find('none').hidden = false
      }
    }
  }

  #drawSide() {
    const state = readAddress()
    if (!this.selection) return
    drawFacets(find('facets'), this.selection, state)
    drawChips(find('chips'), state)
    const sort = find('sort')
    if (sort) sort.value = state.sort
  }

  /** Ask the encoder on this machine which pictures show what a text says. */
  async #rank(text) {
    this.unknown = null
    if (!this.settings.searches) throw new Error('search by meaning needs the encoder, which only `sfhq explore` has')
    if (!this.rankings.has(text)) {
      say('searching by meaning')
      find('search-problem').textContent = 'searching by meaning…'
      const response = await fetch('api/search', {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text }),
      })
      const answer = await response.json().catch(() => ({ problem: `the search failed (HTTP ${response.status})` }))
      if (answer.problem) throw new Error(answer.problem)
      this.rankings.set(text, answer)
    }
    const ranking = this.rankings.get(text)
    if (ranking.note) this.unknown = ranking.note
    return ranking
  }
}

start().catch((error) => fail(error.message))
