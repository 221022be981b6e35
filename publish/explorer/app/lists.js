// A long list of which only the entries on the screen, and a few around them, are in the page.

import { h } from './dom.js'
import { dropPicture } from './worker_link.js'

const EXTRA_PX = 600

export class LongList {
  /**
   * @param {string} label for screen readers
   * @param {number} height of every entry in px, or a function of the list's width
   * @param {(entry: any, place: number) => Node} draw
   * @param {(elements: Element[]) => void} shown what is to be done with entries that come to the screen
   */
  constructor(label, height, draw, shown = () => {}) {
    Object.assign(this, { height, draw, shown })
    this.entries = []
    this.drawn = new Map()
    this.space = h('div.list-space', { role: 'presentation' })
    this.element = h('div.long-list', { role: 'list', 'aria-label': label, tabindex: '0', onscroll: () => this.update() }, this.space)
    new ResizeObserver(() => this.#clear()).observe(this.element)
  }

  set(entries) {
    this.entries = entries
    this.element.scrollTop = 0
    this.#clear()
  }

  #clear() {
    for (const place of [...this.drawn.keys()]) this.#drop(place)
    this.update()
  }

  #drop(place) {
    const element = this.drawn.get(place)
    for (const image of element.querySelectorAll('img')) dropPicture(image)
    element.remove()
    this.drawn.delete(place)
  }

  update() {
    const { scrollTop, clientHeight, clientWidth } = this.element
    if (!clientHeight) return
    const height = typeof this.height === 'function' ? this.height(clientWidth) : this.height
    this.space.style.height = `${this.entries.length * height}px`
    const first = Math.max(0, Math.floor((scrollTop - EXTRA_PX) / height))
    const last = Math.min(this.entries.length - 1, Math.floor((scrollTop + clientHeight + EXTRA_PX) / height))
    for (const place of [...this.drawn.keys()]) if (place < first || place > last) this.#drop(place)
    const added = []
    for (let place = first; place <= last; place++) {
      if (this.drawn.has(place)) continue
      const element = h('div.entry', {
        role: 'listitem', 'aria-setsize': this.entries.length, 'aria-posinset': place + 1,
        style: { height: `${height}px`, transform: `translateY(${place * height}px)` },
      }, this.draw(this.entries[place], place))
      this.drawn.set(place, element)
      this.space.append(element)
      added.push(element)
    }
    if (added.length) this.shown(added)
  }
}
