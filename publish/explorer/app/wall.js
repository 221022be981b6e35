// The wall: all pictures in a grid, of which only the lines on the screen are in the page.

import { h } from './dom.js'
import { dropPictures } from './worker_link.js'

const GAP = 6
const EXTRA_LINES = 2
const SETTLE_MS = 60 // lines that fly past are not read
const MOST_HEIGHT = 15e6 // browsers show no taller element; beyond, scrolling is scaled

export class Wall {
  /**
   * @param {import('./worker_link.js').Reader} reader
   * @param {import('./worker_link.js').Thumbs} thumbs
   * @param {{open: (row: number) => void, mark: (id: string) => void, isMarked: (id: string) => boolean}} actions
   */
  constructor(reader, thumbs, actions) {
    Object.assign(this, { reader, thumbs, actions })
    this.rows = new Uint32Array(0)
    this.lines = new Map()
    this.active = 0
    this.space = h('div.wall-space', { role: 'presentation' })
    this.element = h('div.wall', {
      role: 'grid', 'aria-label': 'Pictures', 'aria-readonly': 'true', tabindex: '-1',
      onscroll: () => this.#draw(), onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event),
      onfocusin: (event) => { if (event.target.dataset?.place) this.#setActive(Number(event.target.dataset.place)) },
    }, this.space)
    new ResizeObserver(() => this.#layout()).observe(this.element)
  }

  /** Show other rows; the place is kept if `keep`. */
  set(rows, similarities, keep = false) {
    Object.assign(this, { rows, similarities })
    if (!keep) {
      this.active = 0
      this.firstPlace = 0
      this.element.scrollTop = 0
    }
    this.active = Math.min(this.active, Math.max(0, rows.length - 1))
    const hadFocus = this.space.contains(document.activeElement)
    this.#clear()
    this.#layout()
    if (hadFocus) this.focus()
  }

  /** About how wide a picture is: as chosen, else as the window is wide. */
  get size() { return this.chosenSize ?? (innerWidth < 560 ? 108 : 148) }

  set size(px) {
    this.chosenSize = px
    this.#layout()
  }

  /** Draw the texts of the tiles again, as more are read. */
  drawTexts() { this.#describe([...this.space.querySelectorAll('.tile')]) }

  /** Draw the marks of the tiles again. */
  drawMarks() { for (const tile of this.space.querySelectorAll('.tile')) this.#drawMark(tile) }

  /** Move the focus to a row's tile, or to the tile that had it last. */
  focusRow(row) {
    const place = this.rows.indexOf(row)
    if (place >= 0) this.#focus(place)
    else this.focus()
  }

  /** Move the focus to the tile that had it last, if it is on the screen. */
  focus() {
    const tile = this.space.querySelector(`.tile[data-place="${this.active}"]`)
    ;(tile ?? this.element).focus({ preventScroll: true })
  }

  // The first picture on the screen stays there, and so does the focus.
  #layout() {
    const width = this.space.clientWidth
    if (!width) return
    const columns = Math.max(2, Math.floor((width + GAP) / (this.size + GAP)))
    const pitch = (width + GAP) / columns
    const isOther = columns !== this.columns || pitch !== this.pitch
    const place = this.firstPlace ?? 0
    const hadFocus = isOther && this.space.contains(document.activeElement)
    Object.assign(this, { columns, pitch })
    if (isOther) this.#clear()
    this.element.setAttribute('aria-colcount', columns)
    this.element.setAttribute('aria-rowcount', this.#numLines())
    this.space.style.height = `${Math.min(MOST_HEIGHT, this.#numLines() * pitch)}px`
    if (isOther && place) this.element.scrollTop = Math.floor(place / columns) * pitch * this.#scale()
    this.#draw()
    if (hadFocus) this.focus()
  }

  #numLines() { return Math.ceil(this.rows.length / this.columns) }

  #scale() { return Math.min(1, MOST_HEIGHT / Math.max(1, this.#numLines() * this.pitch)) }

  #clear() {
    for (const line of this.lines.values()) this.#drop(line)
    this.lines.clear()
  }

  #drop(line) {
    dropPictures(line)
    line.remove()
  }

  #draw() {
    if (!this.columns) return
    const scale = this.#scale()
    const top = this.element.scrollTop / scale
    const first = Math.max(0, Math.floor(top / this.pitch) - EXTRA_LINES)
    const last = Math.min(this.#numLines() - 1, Math.floor((top + this.element.clientHeight) / this.pitch) + EXTRA_LINES)
    this.firstPlace = Math.floor(top / this.pitch) * this.columns
    for (const [number, line] of this.lines) {
      if (number < first || number > last) {
        if (line.contains(document.activeElement)) this.element.focus({ preventScroll: true })
        this.#drop(line)
        this.lines.delete(number)
      }
    }
    const shift = this.element.scrollTop - top
    for (let number = first; number <= last; number++) {
      let line = this.lines.get(number)
      if (!line) {
        line = this.#makeLine(number)
        this.lines.set(number, line)
        this.space.append(line)
      }
      line.style.transform = `translateY(${number * this.pitch + shift}px)`
    }
    clearTimeout(this.settling)
    this.settling = setTimeout(() => this.#fill(), this.drawn ? SETTLE_MS : 0)
    this.drawn = true
  }

  #makeLine(number) {
    const line = h('div.line', { role: 'row', 'aria-rowindex': number + 1 })
    const side = `${this.pitch - GAP}px`
    const end = Math.min(this.rows.length, (number + 1) * this.columns)
    for (let place = number * this.columns; place < end; place++) {
      const name = `picture ${this.rows[place] + 1}`
      const tile = h('button.tile', {
        type: 'button', tabindex: place === this.active ? '0' : '-1', 'data-place': place, 'data-label': name, 'aria-label': name, style: { width: side, height: side },
      }, h('img', { alt: '', draggable: 'false' }))
      if (Number.isFinite(this.similarities?.[place])) tile.append(h('span.score', {}, this.similarities[place].toFixed(3)))
      line.append(h('div', { role: 'gridcell', 'aria-colindex': place % this.columns + 1 }, tile))
    }
    return line
  }

  /** Read the pictures and texts of the tiles that stay on the screen. */
  #fill() {
    const lines = [...this.lines.values()].filter((line) => !line.dataset.filled)
    for (const line of lines) line.dataset.filled = 'yes'
    const tiles = lines.flatMap((line) => [...line.querySelectorAll('.tile')])
    if (!tiles.length) return
    this.thumbs.show(new Map(tiles.map((tile) => [tile.firstChild, this.rows[tile.dataset.place]])))
    this.#describe(tiles)
  }

  async #describe(tiles) {
    const found = await this.reader.ask('tiles', tiles.map((tile) => this.rows[tile.dataset.place]))
    found.forEach(({ id, prompt }, at) => {
      const tile = tiles[at]
      if (id) tile.dataset.id = id
      if (prompt) tile.title = prompt
      if (prompt) tile.dataset.label = prompt
      this.#drawMark(tile)
    })
  }

  #drawMark(tile) {
    const { id, label } = tile.dataset
    const isMarked = Boolean(id) && this.actions.isMarked(id)
    tile.classList.toggle('marked', isMarked)
    tile.setAttribute('aria-label', isMarked ? `${label}, marked` : label)
  }

  #setActive(place) {
    this.space.querySelector('.tile[tabindex="0"]')?.setAttribute('tabindex', '-1')
    this.active = place
    this.space.querySelector(`.tile[data-place="${place}"]`)?.setAttribute('tabindex', '0')
  }

  #focus(place) {
    const line = Math.floor(place / this.columns)
    const scale = this.#scale()
    const top = line * this.pitch * scale
    const { scrollTop, clientHeight } = this.element
    if (top < scrollTop) this.element.scrollTop = top
    else if (top + this.pitch > scrollTop + clientHeight) this.element.scrollTop = top + this.pitch - clientHeight
    this.#draw()
    this.#setActive(place)
    this.space.querySelector(`.tile[data-place="${place}"]`)?.focus({ preventScroll: true })
  }

  #click(event) {
    const tile = event.target.closest('.tile')
    if (!tile) return
    if (event.shiftKey) this.#mark(tile)
    else this.actions.open(this.rows[tile.dataset.place])
  }

  async #mark(tile) {
    if (!tile.dataset.id) await this.#describe([tile])
    if (tile.dataset.id) this.actions.mark(tile.dataset.id)
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.rows.length) return
    const page = this.columns * Math.max(1, Math.floor(this.element.clientHeight / this.pitch))
    const steps = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns, PageDown: page, PageUp: -page,
      Home: -this.rows.length, End: this.rows.length,
    }
    if (event.key in steps) {
      event.preventDefault()
      this.#focus(Math.max(0, Math.min(this.rows.length - 1, this.active + steps[event.key])))
    } else if (event.key === 'x' && event.target.dataset.place) this.#mark(event.target)
  }
}
