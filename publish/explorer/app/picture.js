// One picture in full, in a dialog over the view that it was opened from.

import { count, h, readable, size, words } from './dom.js'
import { go, linkTo } from './address.js'
import { checkCaption, cutAdded } from './checks.js'
import { dropPicture, dropPictures, setPicture } from './worker_link.js'

const LONG = 2000 // texts longer than this get a box of their own that scrolls
const PART = 5000 // and of those longer than this, a part is shown at first: a browser may take minutes for 1 MB in one piece

export class PictureView {
  constructor(reader, thumbs, marks, hasFeatures) {
    Object.assign(this, { reader, thumbs, marks, hasFeatures })
    this.image = h('img.full', { alt: '' })
    this.facts = h('div.facts', { tabindex: '0', role: 'region', 'aria-label': 'About this picture' })
    this.rows = new Uint32Array(0)
    this.previousButton = h('button', { type: 'button', 'aria-label': 'previous picture', onclick: () => this.step(-1) }, '←')
    this.nextButton = h('button', { type: 'button', 'aria-label': 'next picture', onclick: () => this.step(1) }, '→')
    this.markButton = h('button', { type: 'button', onclick: () => this.#mark() })
    this.dialog = h('dialog.picture', { 'aria-label': 'Picture' },
      h('div.stage', {}, this.image),
      h('div.side', {},
        h('div.tools', {},
          this.previousButton, this.nextButton,
          this.markButton,
          hasFeatures ? h('button', { type: 'button', onclick: () => go({ view: 'pictures', picture: null, like: this.id, meaning: '', sort: '' }) }, 'More like this') : null,
          h('button.close', { type: 'button', 'aria-label': 'close', onclick: () => this.leave() }, '×')),
        this.facts))
    this.dialog.addEventListener('cancel', (event) => { event.preventDefault(); this.leave() })
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.leave() })
    this.dialog.addEventListener('keydown', (event) => this.#key(event))
    marks.addEventListener('change', () => this.#drawMark())
  }

  /** Step through other rows with the arrows. */
  setRows(rows) {
    this.rows = rows
    const place = rows.indexOf(this.row)
    if (place >= 0) this.place = place
    this.#drawSteps()
  }

  /** Show a picture by its id. */
  async show(id) {
    if (this.id === id) return
    Object.assign(this, { id, row: null, place: -1 })
    this.#clear()
    this.facts.append(h('p.dim', { role: 'status' }, 'Reading…'))
    if (!this.dialog.open) this.dialog.showModal()
    try {
      const row = await this.reader.ask('place', id)
      if (this.id !== id) return
      this.row = row
      this.setRows(this.rows)
      this.#drawMark()
      if (row === null) {
        this.facts.replaceChildren(h('h2', {}, 'There is no such picture'), h('p', {}, 'No picture of this release has the id ', words(id), '.'))
      } else await this.#read(id, row)
    } catch (error) {
      this.#fail(id, error)
    }
  }

  async #read(id, row) {
    this.reader.ask('image', row).then((data) => {
      if (this.id === id) setPicture(this.image, data)
    }, (error) => this.#fail(id, error))
    const picture = await this.reader.ask('picture', row)
    if (this.id !== id) return
    this.image.alt = (picture.prompt ?? 'picture without a prompt').slice(0, 300)
    this.facts.prepend(...drawPicture(picture))
    const about = await this.reader.ask('about', row)
    const rowsOf = await this.#placesOf(about)
    if (this.id !== id) return
    this.facts.querySelector('[role=status]')?.remove()
    this.facts.append(...drawAbout(picture, about))
    this.#showSmall(rowsOf)
    if (about.canCheck) await this.#check(id, about.captions)
    if (this.id === id) this.facts.dataset.whole = id
  }

  /** Compare captions with the attributes, one after the other: that may take seconds, and the rest is shown already. */
  async #check(id, captions) {
    const articles = this.facts.querySelectorAll('article.caption')
    const problems = new Set()
    for (const [at, caption] of captions.filter(isWritten).entries()) {
      const check = await checkCaption(caption).catch((error) => { problems.add(error.message) })
      if (this.id !== id) return
      if (check) articles[at].replaceWith(drawCaption(caption, check))
    }
    this.facts.querySelector('article.caption')?.parentElement.before(...[...problems].map((problem) => h('p.problem', { role: 'alert' }, problem)))
  }

  hide() {
    this.id = null
    if (!this.dialog.open) return
    this.dialog.close()
    this.#clear()
  }

  #clear() {
    if (this.facts.contains(document.activeElement)) this.facts.focus()
    dropPicture(this.image)
    this.image.removeAttribute('src')
    this.image.alt = ''
    dropPictures(this.facts)
    this.facts.replaceChildren()
    this.facts.scrollTop = 0
    delete this.facts.dataset.whole
  }

  leave() { go({ picture: null }) }

  step(by) {
    const next = this.#nextRow(by)
    if (next !== undefined) this.reader.ask('tiles', [next]).then(([tile]) => { if (tile.id) go({ picture: tile.id }, true) })
  }

  // A picture that is no longer on the wall, as its mark was taken away, was before the one that took its place.
  #nextRow(by) {
    if (this.place < 0) return undefined
    return this.rows[this.rows[this.place] === this.row ? this.place + by : this.place + (by > 0 ? 0 : -1)]
  }

  #drawSteps() {
    this.previousButton.setAttribute('aria-disabled', String(this.#nextRow(-1) === undefined))
    this.nextButton.setAttribute('aria-disabled', String(this.#nextRow(1) === undefined))
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === 'INPUT') return
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      event.preventDefault()
      this.step(event.key === 'ArrowLeft' ? -1 : 1)
    } else if (event.key === 'x') this.#mark()
  }

  #mark() { if (this.row !== null) this.marks.toggle(this.id) }

  #drawMark() {
    const isMarked = this.id && this.marks.has(this.id)
    this.markButton.textContent = isMarked ? 'Marked' : 'Mark'
    this.markButton.setAttribute('aria-pressed', String(Boolean(isMarked)))
    this.markButton.title = 'Mark for exclusion (x)'
  }

  #fail(id, error) {
    if (this.id !== id) return
    this.facts.querySelector('[role=status]')?.remove()
    this.facts.append(h('p.problem', { role: 'alert' }, error.message))
  }

  async #placesOf({ duplicates, pairs }) {
    const ids = [...new Set([...duplicates.map((each) => each.image_id), ...pairs.flatMap((each) => [each.image_1_id, each.image_2_id])])].filter(Boolean)
    const rows = await this.reader.ask('places', ids)
    return new Map(ids.map((id, at) => [id, rows[at]]))
  }

  #showSmall(rowsOf) {
    const wanted = new Map()
    for (const image of this.facts.querySelectorAll('img[data-id]')) {
      const row = rowsOf.get(image.dataset.id)
      if (row !== null && row !== undefined) wanted.set(image, row)
    }
    this.thumbs.show(wanted)
  }
}

const section = (title, ...children) => h('section', {}, h('h3', {}, title), ...children)

/** Draw a text of any length: a long one scrolls in its own box, and of a very long one the beginning is shown at first. */
export function drawText(text) {
  const whole = String(text)
  if (whole.length <= LONG) return h('p.text', { dir: 'auto' }, whole)
  const parts = split(whole)
  const box = h('div.text.long', { dir: 'auto', tabindex: '0', role: 'region', 'aria-label': `text of ${count(whole.length)} characters` }, parts[0])
  if (parts.length === 1) return box
  const more = h('button.more', {
    type: 'button',
    onclick: () => {
      box.replaceChildren(...parts.map((part) => h('div.part', {}, part))) // each is laid out when it comes to the screen
      box.focus()
      more.remove()
    },
  }, `Show all ${count(whole.length)} characters`)
  return [box, more]
}

/** Split a text into parts, between words where there are any. */
function split(text) {
  const parts = []
  for (let at = 0; at < text.length;) {
    let end = Math.min(text.length, at + PART)
    if (end < text.length) {
      const space = text.lastIndexOf(' ', end)
      if (space > at + PART / 2) end = space + 1
      else if (/[\uDC00-\uDFFF]/.test(text[end])) end -= 1 // two halves of one character
    }
    parts.push(text.slice(at, end))
    at = end
  }
  return parts
}

function table(rows) {
  return h('dl', {}, rows.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => [
    h('dt', {}, name), h('dd', {}, value instanceof Node ? value : words(value, 5000)),
  ]))
}

function drawPicture(picture) {
  const settings = Object.entries(picture.settings ?? {}).filter(([, value]) => value !== null)
  return [
    section('Prompt', picture.prompt === null ? h('p.dim', {}, 'not known') : drawText(picture.prompt),
      picture.original_prompt ? [h('h4', {}, 'Asked for before the provider revised it'), drawText(picture.original_prompt)] : null),
    section('Made by', table([
      ['generator', picture.generator],
      ...settings.map(([name, value]) => [readable(name), String(value)]),
    ])),
    section('File and terms', table([
      ['licence', picture.license],
      ['id', h('a', { href: linkTo({ picture: picture.image_id }) }, picture.image_id)],
      ['split', picture.split],
      ['size', `${picture.width} × ${picture.height} px, ${picture.format}, ${picture.mode}, ${size(Number(picture.num_bytes))}`],
      ['source', picture.source],
      ['file', picture.file_name],
      ['also from', (picture.other_origins ?? []).join(', ')],
      ['source type', readable(String(picture.digital_source_type).split('/').at(-1))],
      ['SHA-256', h('code', {}, picture.sha256)],
    ])),
  ]
}

function drawAbout(picture, { captions, request, pairs, duplicates, adherence, problems, canCheck }) {
  const asked = new Map((picture.prompt_attributes ?? []).map(({ attribute, value }) => [attribute, value]))
  const seen = captions.flatMap((caption) => caption.attributes ?? [])
  const names = [...new Set([...asked.keys(), ...seen.map((each) => each.attribute)])]
  const written = captions.filter(isWritten)
  return [
    ...problems.map((problem) => h('p.problem', { role: 'alert' }, problem)),
    adherence === null ? null : section('Adherence', h('p', {}, `${adherence.toFixed(3)} cosine similarity of picture and prompt`)),
    written.length ? section('Captions', written.map((caption) => drawCaption(caption)),
      !canCheck && written.some((caption) => caption.attributes?.length) ? h('p.dim', {}, 'Captions are not compared with the attributes here: `sfhq explore` does that.') : null) : null,
    names.length ? section('Attributes', h('table', {},
      h('thead', {}, h('tr', {}, ['', 'asked', 'seen'].map((head) => h('th', { scope: 'col' }, head)))),
      h('tbody', {}, names.map((name) => drawAttribute(name, asked.get(name), seen.filter((each) => each.attribute === name)))))) : null,
    request ? section('Request', table(Object.entries(request).filter(([name, value]) => !['prompt', 'attributes', 'image_id', 'split'].includes(name) && value !== null && !(Array.isArray(value) && !value.length)).map(([name, value]) => [readable(name), plain(value)]))) : null,
    duplicates.length ? section(`Near-duplicates (${count(duplicates.length)})`, h('div.strip', {}, duplicates.map((each) => drawSmall(each.image_id, near(each))))) : null,
    pairs.length ? section(`Votes (${count(pairs.length)} pairs)`, h('ul.votes', {}, pairs.slice(0, 50).map((pair) => drawPair(pair, picture.image_id)))) : null,
  ].filter(Boolean)
}

/** Write any value on one line. */
export function plain(value) {
  return typeof value === 'object' ? JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)) : String(value)
}

const isWritten = ({ caption }) => caption !== null

function drawCaption(caption, check = null) {
  const bag = caption.bag_of_words
  // Texts that are checked are no longer than those that are drawn in one piece.
  const text = check?.added.length
    ? h('p.text', { dir: 'auto' }, cutAdded(caption.caption, check.added).map((part) => (part.what
      ? h('mark', { title: `the attributes do not say this: ${part.what}` }, part.text)
      : part.text)))
    : drawText(caption.caption)
  return h('article.caption', {},
    h('h4', {}, words(caption.captioner ?? 'captioner not known'), caption.captioner_version ? [' ', words(caption.captioner_version)] : null,
      caption.similarity === null ? null : h('span.dim', { title: 'cosine similarity of picture and caption' }, ` similarity ${caption.similarity.toFixed(3)}`)),
    text,
    bag?.length ? h('p.bag', {}, bag.map((word) => h('span', {}, words(word)))) : null,
    check?.missing.length ? h('p.bag.missing', {}, h('span.dim', {}, 'not said:'), check.missing.map(({ attribute, value }) => h('mark', { title: 'the checker does not find this in the caption' }, words(`${readable(attribute)}: ${value}`)))) : null)
}

function drawAttribute(name, asked, seen) {
  const isSame = asked === undefined || !seen.length || seen.some((each) => String(each.value) === String(asked))
  return h('tr', { class: isSame ? null : 'differs' },
    h('th', { scope: 'row' }, words(readable(name))),
    h('td', {}, asked === undefined ? h('span.dim', {}, '–') : words(asked)),
    h('td', {}, seen.length ? seen.map((each) => h('div', { title: each.source_model ?? null }, words(each.value),
      each.confidence === null ? null : h('span.dim', {}, ` ${Math.round(100 * each.confidence)} %`))) : h('span.dim', {}, '–')))
}

function near({ kind, similarity, hash_distance: bits }) {
  return [similarity === null ? null : `similarity ${similarity.toFixed(3)}`, bits === null ? null : `${bits} bits`].filter(Boolean).join(', ') || kind
}

/** Draw a small picture that leads to its full view. */
export function drawSmall(id, text, classes = '') {
  return h('a.small', { href: linkTo({ picture: id }), class: `small ${classes}` }, h('img', { alt: `picture ${id}`, 'data-id': id }), text ? h('span', {}, text) : null)
}

function drawPair(pair, id) {
  const isFirst = pair.image_1_id === id
  const other = isFirst ? pair.image_2_id : pair.image_1_id
  const [own, others] = isFirst ? [pair.votes_image_1, pair.votes_image_2] : [pair.votes_image_2, pair.votes_image_1]
  const result = pair.decision === (isFirst ? 'image_1' : 'image_2') ? 'preferred' : pair.decision.startsWith('image_') ? 'not preferred' : readable(pair.decision)
  return h('li', {}, other ? drawSmall(other, null) : null,
    h('span', {}, h('strong', {}, result), ` ${own} : ${others} against `, words((isFirst ? pair.model_2 : pair.model_1) ?? 'another'),
      pair.category ? [', ', words(pair.category)] : null))
}

