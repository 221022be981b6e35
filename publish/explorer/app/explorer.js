// The page: reads its settings, starts the worker, and shows the view that the address names.

import { count, h, plural, replaceWithFocus, size } from './dom.js'
import { CLEARED, go, linkTo, readAddress, readStep } from './address.js'
import { Marks } from './marks.js'
import { PictureView } from './picture.js'
import { Reader, Thumbs } from './worker_link.js'
import { Wall } from './wall.js'
import { drawChips, drawFacets, readRange, wanted } from './sidebar.js'
import { drawChanges, drawDuplicates, drawPairs, drawRejected } from './views.js'
import { drawNumbers } from './numbers.js'

const TYPING_MS = 180
const TITLES = { pictures: 'Pictures', pairs: 'Pairs', duplicates: 'Near-duplicates', changes: 'Changes', rejected: 'Rejected', numbers: 'Numbers' }
const SORTS = { '': 'as in the release', worst: 'lowest adherence first', best: 'highest adherence first' }
const BY_LIKENESS = 'likeness'
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
    this.elsewhere = new Set() // marked ids that this release does not have
    this.thumbs = new Thumbs(reader)
    this.picture = new PictureView(reader, this.thumbs, this.marks, about.features !== null)
    this.rows = new Uint32Array(0)
    this.wall = new Wall(reader, this.thumbs, {
      open: (row) => this.#open(row), mark: (id) => this.#mark(id), isMarked: (id) => this.marks.has(id),
    })
    document.body.append(this.picture.dialog)
    this.shownOther = null
    this.rankings = new Map()
    this.scrolls = new Map() // step of the browser's history → how far down it was
  }

  start() {
    const { about } = this
    document.title = `${about.title} ${about.version}`
    find('title').replaceChildren(h('bdi', { title: about.title }, about.title), h('span.version', {}, about.version))
    find('wall-place').append(this.wall.element)
    this.#drawTools()
    this.#connect()
    this.#setRows(Uint32Array.from({ length: about.numRows }, (_, row) => row), null) // pictures first, then what is known of them
    this.#draw()
  }

  #connect() {
    addEventListener('hashchange', () => this.#draw())
    addEventListener('facets-changed', () => this.#drawSide())
    addEventListener('values-wanted', () => this.#select(true))
    this.marks.addEventListener('change', () => this.#changeMarks())
    this.#changeMarks()
    this.thumbs.addEventListener('change', () => this.#drawFailures())
    this.reader.on('facets', () => this.#learn())
    this.reader.on('scores', () => this.#learn())
    this.reader.on('texts', () => { this.wall.drawTexts(); this.#learn() })
    this.reader.on('progress', ({ stage, done, total }) => {
      find('progress').textContent = done < total ? `${stage}: ${Math.round((100 * done) / total)} %` : ''
      this.#drawTraffic()
    })
    find('skip').addEventListener('click', (event) => { // the page's address says something else
      event.preventDefault()
      this.#focusContent()
    })
    find('retry').addEventListener('click', () => {
      this.#focusContent()
      this.thumbs.retry()
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
      if (event.key === 'Escape' && document.body.classList.contains('with-facets')) {
        this.#fold(false)
        find('facets-button').focus()
      }
    })
    this.#connectSearch()
  }

  #connectSearch() {
    const search = find('search')
    const run = (replace) => {
      clearTimeout(this.typing)
      const text = search.value.trim() && search.value
      const isMeaning = find('meaning').checked
      const changes = isMeaning ? { meaning: text, q: '', sort: text ? '' : readAddress().sort } : { q: text, meaning: '' }
      go({ ...changes, like: '', view: 'pictures', picture: null }, replace)
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
    const sort = h('select', { id: 'sort', onchange: () => go({ sort: sort.value, like: '', meaning: '' }) })
    const sizes = h('input', { type: 'range', min: '72', max: '300', value: String(this.wall.size), 'aria-label': 'size of pictures', oninput: () => { this.wall.size = Number(sizes.value) } })
    find('tools').replaceChildren(...[this.about.features ? h('label', {}, 'Order ', sort) : null, h('label.sizes', {}, 'Size ', sizes)].filter(Boolean))
  }

  #drawSort({ sort, like, meaning }) {
    if (!this.about.features) return
    const orders = like || meaning ? { [BY_LIKENESS]: 'most similar first', ...SORTS } : SORTS
    const options = Object.entries(orders).map(([value, text]) => h('option', { value }, text))
    find('sort').replaceChildren(...options)
    find('sort').value = like || meaning ? BY_LIKENESS : sort in SORTS ? sort : ''
  }

  #drawNav(state) {
    const { about, settings } = this
    const has = { pictures: true, pairs: about.hasPairs, duplicates: about.hasGroups, changes: about.hasChanges, rejected: settings.rejected, numbers: true }
    const { category, decision, model, kind } = CLEARED // what pairs and changes are filtered by stays with them
    this.links ??= new Map(Object.entries(TITLES).filter(([view]) => has[view]).map(([view, title]) => [view, h('a', {}, title)]))
    for (const [view, link] of this.links) {
      link.setAttribute('href', linkTo({ view, picture: null, category, decision, model, kind }))
      if (view === state.view) link.setAttribute('aria-current', 'page')
      else link.removeAttribute('aria-current')
    }
    const nav = find('views')
    if (!nav.firstChild) nav.append(...this.links.values())
    this.links.get(state.view)?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }

  #mark(id) {
    this.marks.toggle(id)
    say(`${this.marks.has(id) ? 'marked' : 'no longer marked'}; ${count(this.#countMarks())} in all`)
  }

  #countMarks() { return this.marks.size - [...this.elsewhere].filter((id) => this.marks.has(id)).length }

  async #changeMarks() {
    this.#drawMarks()
    this.wall.drawMarks()
    if (readAddress().marked) this.#select(false)
    const ids = [...this.marks.reasons.keys()].filter((id) => !this.elsewhere.has(id))
    const rows = await this.reader.ask('places', ids)
    const missing = ids.filter((_, at) => rows[at] === null)
    if (!missing.length) return
    for (const id of missing) this.elsewhere.add(id)
    this.#drawMarks()
  }

  #drawMarks() {
    const here = this.#countMarks()
    const others = this.marks.size - here
    if (this.marks.size) this.restore = null
    const undo = () => { this.restore(); this.#focusContent() }
    const parts = this.marks.size ? [
      h('a', { href: linkTo({ view: 'pictures', picture: null, marked: 'yes' }), 'data-key': 'marked' }, `${count(here)} marked`),
      others ? h('span.dim', { title: 'marked in another version of this dataset; exported, too' }, `and ${count(others)} not in this release`) : null,
      h('button', { type: 'button', 'data-key': 'export', onclick: () => this.#export() }, 'Export exclusions.csv'),
      h('button', { type: 'button', 'data-key': 'clear', onclick: () => this.#clearMarks() }, 'Clear'),
    ] : this.restore ? [h('span', {}, 'Marks cleared'), h('button', { type: 'button', 'data-key': 'undo', onclick: undo }, 'Undo')] : []
    if (replaceWithFocus(find('marks'), ...parts.filter(Boolean))) this.#focusContent()
  }

  #clearMarks() {
    const restore = this.marks.clear()
    this.restore = restore
    this.#drawMarks()
    find('marks').querySelector('button').focus()
    say('marks cleared')
  }

  #drawFailures() {
    const { failed, problem } = this.thumbs
    find('failures').hidden = !failed.size
    if (failed.size) find('failures-text').textContent = `${plural(failed.size, 'picture')} could not be read: ${problem}.`
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
    if (!hasRanges) find('no-ranges').hidden = false
  }

  #open(row) {
    this.reader.ask('tiles', [row]).then(([tile]) => { if (tile.id) go({ picture: tile.id }) })
  }

  #focusContent() {
    if (readAddress().view === 'pictures') this.wall.focus()
    else (find('other-view').querySelector('h1') ?? find('main')).focus({ preventScroll: true })
  }

  #draw() { return this.#drawAddress(readAddress()).catch((error) => fail(error.message)) }

  /** Show what the address says. Nothing waits for a slow search that the person has left. */
  async #drawAddress(state) {
    const isWall = state.view === 'pictures'
    const hadFocus = document.activeElement !== document.body
    const step = this.#keepScroll()
    this.#drawNav(state)
    this.#drawMarks()
    const search = find('search')
    if (document.activeElement !== search) search.value = state.meaning || state.q
    if (state.meaning) find('meaning').checked = true
    else if (state.q) find('meaning').checked = false
    document.body.dataset.view = state.view
    find('wall-view').hidden = !isWall
    find('other-view').hidden = isWall
    if (isWall) this.#clearOther()
    if (state.picture) this.picture.show(state.picture)
    else this.#closePicture(isWall)
    await (isWall ? this.#select(false) : this.#drawOther(state))
    if (this.step === step) this.#restoreScroll()
    if (hadFocus && document.activeElement === document.body) this.#focusContent()
    this.#drawTraffic()
  }

  /** Note how far down the view is that is left, so that Back leads there. */
  #keepScroll() {
    const step = readStep()
    if (this.step !== undefined && this.step !== step) this.scrolls.set(this.step, this.#scroller.scrollTop)
    this.returnTo = this.step === step ? undefined : this.scrolls.get(step)
    this.step = step
    return step
  }

  get #scroller() { return find('other-view').hidden ? this.wall.element : this.other?.scroller ?? find('other-view') }

  #restoreScroll() {
    if (this.returnTo !== undefined) this.#scroller.scrollTop = this.returnTo
    this.returnTo = undefined
  }

  #closePicture(isWall) {
    if (!this.picture.dialog.open) return
    const { row } = this.picture
    this.picture.hide()
    if (isWall) this.wall.focusRow(row)
  }

  #clearOther() {
    this.other?.list?.clear()
    this.other = null
    this.shownOther = null
    find('other-view').replaceChildren()
  }

  async #drawOther(state, keep = false) {
    const { picture, ...shown } = state
    const key = JSON.stringify(shown)
    if (!keep && this.shownOther === key) return
    const isOther = this.shownOther === null || JSON.parse(this.shownOther).view !== state.view
    const scrollTop = keep ? this.other?.scroller?.scrollTop : undefined
    this.shownOther = key
    const draw = { pairs: drawPairs, duplicates: drawDuplicates, changes: drawChanges, rejected: drawRejected, numbers: (reader) => drawNumbers(reader, this.about) }[state.view]
    if (isOther) say(`${TITLES[state.view]}: reading`)
    let drawn
    try {
      drawn = await draw(this.reader, this.thumbs, state)
    } catch (error) {
      drawn = { element: h('p.problem', { role: 'alert' }, error.message) }
    }
    if (this.shownOther !== key) return
    this.other?.list?.clear()
    const isLost = replaceWithFocus(find('other-view'), drawn.element)
    this.other = drawn
    drawn.list?.update()
    if (scrollTop !== undefined && drawn.scroller) drawn.scroller.scrollTop = scrollTop
    this.#restoreScroll()
    if (isLost) this.#focusContent()
    if (isOther) say(TITLES[state.view])
  }

  /** Show what has become known meanwhile. */
  #learn() {
    const state = readAddress()
    if (state.view === 'pictures') this.#select(true)
    else if (state.view === 'numbers' && this.shownOther) this.#drawOther(state, true)
  }

  #setRows(rows, similarities, keep = false) {
    this.rows = rows
    this.wall.set(rows, similarities, keep)
    this.picture.setRows(rows)
  }

  /** Filter and sort the wall as the address says; `keep` its place where only more has become known. */
  async #select(keep) {
    const state = readAddress()
    if (state.view !== 'pictures') return
    const { picture, ...shown } = state
    const marked = state.marked ? [...this.marks.reasons.keys()] : null
    const key = JSON.stringify(shown)
    const whole = JSON.stringify([shown, marked])
    if (!keep && (this.selecting ?? this.shownWhole) === whole) return
    this.selecting = whole
    const turn = this.turn = (this.turn ?? 0) + 1
    const note = find('search-problem')
    try {
      const ranking = state.meaning ? await this.#rank(state.meaning) : null
      const view = {
        facets: state.facets, text: state.q, adherence: state.adherence ? readRange(state.adherence) : null, sort: state.sort,
        like: state.like || null, marked, ranking, wanted: Object.fromEntries(wanted),
      }
      const selection = await this.reader.ask('select', view)
      if (turn !== this.turn) return
      this.#show(selection, this.shownKey === key)
      note.textContent = ranking?.note ?? ''
    } catch (error) {
      if (turn !== this.turn) return
      note.textContent = error.message
      this.#show({ ...this.selection, rows: new Uint32Array(0), similarities: null }, false)
    }
    Object.assign(this, { shownKey: key, shownWhole: whole, selecting: null })
  }

  #show(selection, isSame) {
    this.selection = selection
    const { rows } = selection
    if (!isSame || rows.length !== this.rows.length || rows.some((row, at) => row !== this.rows[at])) {
      this.#setRows(rows, selection.similarities, isSame)
    }
    this.#restoreScroll()
    this.#drawSide()
    const total = this.about.numRows
    const text = rows.length === total ? plural(total, 'picture') : `${count(rows.length)} of ${plural(total, 'picture')}`
    find('count').textContent = text
    find('none').hidden = rows.length > 0
    say(text)
  }

  #drawSide() {
    const state = readAddress()
    this.#drawSort(state)
    if (drawChips(find('chips'), state)) this.#focusContent()
    if (this.selection?.facets) drawFacets(find('facets'), this.selection, state)
  }

  /** Return which pictures show what a text says, by the encoder on this machine. */
  async #rank(text) {
    if (!this.settings.searches) throw new Error('search by meaning needs the encoder, which only `sfhq explore` has')
    say('searching by meaning')
    find('search-problem').textContent = 'searching by meaning…'
    if (!this.rankings.has(text)) this.rankings.set(text, search(text))
    return this.rankings.get(text).catch((error) => {
      this.rankings.delete(text)
      throw error
    })
  }
}

async function search(text) {
  const response = await fetch('api/search', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text }),
  })
  const answer = await response.json().catch(() => ({ problem: `the search failed (HTTP ${response.status})` }))
  if (answer.problem) throw new Error(answer.problem)
  return answer
}

start().catch((error) => fail(error.message))
