// A long list of which only the entries on the screen, and a few around them, are in the page.

import { h } from './dom.js'
import { dropPictures } from './worker_link.js'

const EXTRA_PX = 600
const FOCUSED = 'a, button, [tabindex]'

export class LongList {
  /**
   * @param {string} label for screen readers
   * @param {any[]} entries
   * @param {number | ((width: number) => number)} height of every entry in px, by the list's width
   * @param {(entry: any, place: number) => Node} draw
   * @param {(elements: Element[]) => void} shown what is to be done with entries that come to the screen
   */
  constructor(label, entries, height, draw, shown = () => {}) {
    Object.assign(this, { entries, height, draw, shown })
    this.drawn = new Map()
    this.space = h('div.list-space', { role: 'presentation' })
    this.element = h('div.long-list', { role: 'list', 'aria-label': label, tabindex: '0', onscroll: () => this.update() }, this.space)
    new ResizeObserver(() => this.#resize()).observe(this.element)
  }

  /** Let go of everything that is drawn. */
  clear() {
    for (const place of [...this.drawn.keys()]) this.#drop(place)
  }

  // The first entry on the screen stays there, and so does the focus.
  #resize() {
    const { clientWidth, scrollTop } = this.element
    if (!clientWidth || clientWidth === this.width) return this.update()
    const place = this.pitch ? scrollTop / this.pitch : 0
    const [at, number] = this.#findFocus()
    this.width = clientWidth
    this.pitch = typeof this.height === 'function' ? this.height(clientWidth) : this.height
    this.clear()
    this.space.style.height = `${this.entries.length * this.pitch}px`
    if (place) this.element.scrollTop = place * this.pitch
    this.update()
    if (at !== undefined) (this.drawn.get(at)?.querySelectorAll(FOCUSED)[number] ?? this.element).focus({ preventScroll: true })
  }

  #findFocus() {
    for (const [place, element] of this.drawn) {
      const number = [...element.querySelectorAll(FOCUSED)].indexOf(document.activeElement)
      if (number >= 0) return [place, number]
    }
    return []
  }

  #drop(place) {
    const element = this.drawn.get(place)
    if (element.contains(document.activeElement)) this.element.focus({ preventScroll: true })
    dropPictures(element)
    element.remove()
    this.drawn.delete(place)
  }

  /** Draw the entries on the screen. */
  update() {
    const { scrollTop, clientHeight, clientWidth } = this.element
    if (!clientHeight) return
    if (clientWidth !== this.width) return this.#resize()
    const { pitch } = this
    const first = Math.max(0, Math.floor((scrollTop - EXTRA_PX) / pitch))
    const last = Math.min(this.entries.length - 1, Math.floor((scrollTop + clientHeight + EXTRA_PX) / pitch))
    for (const place of [...this.drawn.keys()]) if (place < first || place > last) this.#drop(place)
    const added = []
    for (let place = first; place <= last; place++) {
      if (this.drawn.has(place)) continue
      const element = h('div.entry', {
        role: 'listitem', 'aria-setsize': this.entries.length, 'aria-posinset': place + 1,
        style: { height: `${pitch}px`, transform: `translateY(${place * pitch}px)` },
      }, this.draw(this.entries[place], place))
      this.drawn.set(place, element)
      this.space.append(element)
      added.push(element)
    }
    if (added.length) this.shown(added)
  }
}
