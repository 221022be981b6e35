// Marked pictures, kept in this browser, and their export as the list that `sfhq release` excludes.

const KEY = 'sfhq-explorer-marks:'

export class Marks extends EventTarget {
  /** @param {string} name of the dataset: its versions share the marks, as a picture keeps its id */
  constructor(name) {
    super()
    this.key = KEY + name
    this.reasons = new Map()
    this.#load()
    addEventListener('storage', ({ key }) => { // another tab has changed them
      if (key !== this.key) return
      this.#load()
      this.dispatchEvent(new Event('change'))
    })
  }

  #load() {
    try {
      this.reasons = new Map(JSON.parse(localStorage.getItem(this.key) ?? '[]'))
    } catch { /* a browser without storage keeps the marks until the page is closed */ }
  }

  get size() { return this.reasons.size }

  has(id) { return this.reasons.has(id) }

  toggle(id) { this.set(id, this.has(id) ? null : 'marked in the explorer') }

  /** Mark a picture with a reason, or take its mark away if that is null. */
  set(id, reason) {
    if (reason === null) this.reasons.delete(id)
    else this.reasons.set(id, reason)
    this.#keep()
  }

  /** Take all marks away, and return a function that brings them back. */
  clear() {
    const before = this.reasons
    this.reasons = new Map()
    this.#keep()
    return () => {
      this.reasons = new Map([...before, ...this.reasons])
      this.#keep()
    }
  }

  #keep() {
    try { localStorage.setItem(this.key, JSON.stringify([...this.reasons])) } catch { /* as above */ }
    this.dispatchEvent(new Event('change'))
  }

  /** Return exclusions.csv. */
  toCsv() {
    const rows = [...this.reasons].map(([id, reason]) => `${cell(id)},${cell(reason.trim() || 'marked in the explorer')}`)
    return `image,reason\n${rows.map((row) => `${row}\n`).join('')}`
  }
}

const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
