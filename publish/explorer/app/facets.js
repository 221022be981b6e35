// Facets: which values the pictures have of an attribute, and how many pictures have each.

const SHIFT = 2 ** 24 // a key is row × SHIFT + code, so that sorted keys are sorted by row; a Map holds no more values
const PART_LENGTH = 8192
const NONE = 0

/** Keys in the order of rows, in arrays that are never copied: the browser would keep the old ones for long. */
class Keys {
  constructor() { Object.assign(this, { parts: [], length: 0, isSorted: true }) }

  at(place) { return this.parts[Math.floor(place / PART_LENGTH)][place % PART_LENGTH] }

  /** Add a key unless its row has it. */
  add(key) {
    const row = Math.floor(key / SHIFT)
    let place = this.length - 1
    for (; place >= 0; place--) {
      const other = this.at(place)
      if (other === key) return
      if (other < row * SHIFT) break
      if (other >= (row + 1) * SHIFT) this.isSorted = false
      if (!this.isSorted) break
    }
    if (this.length % PART_LENGTH === 0) this.parts.push(new Float64Array(PART_LENGTH))
    this.parts.at(-1)[this.length++ % PART_LENGTH] = key
  }

  /** Sort keys that came in another order, and cut off what is not used. */
  finish() {
    if (!this.isSorted) {
      const sorted = Float64Array.from(this.parts.flatMap((part) => [...part]).slice(0, this.length)).sort()
      Object.assign(this, { parts: [], length: 0, isSorted: true })
      for (const key of sorted) this.add(key)
    }
    const used = this.length % PART_LENGTH
    if (used) this.parts.push(this.parts.pop().slice(0, used))
  }
}

export class Facet {
  constructor(name, title, group) {
    Object.assign(this, { name, title, group })
    this.values = []
    this.codes = new Map()
    this.keys = new Keys()
  }

  /** Note that a picture has a value; several are fine, and one that is there twice counts once. */
  add(row, value) {
    let code = this.codes.get(value)
    if (code === undefined) {
      code = this.values.length
      this.values.push(value)
      this.codes.set(value, code)
    }
    this.keys.add(row * SHIFT + code)
  }

  /** Sort what was added. */
  finish() {
    this.keys.finish()
    return this
  }

  /** Set `has[row]` for each picture that has one of some values. */
  mark(wanted, has) {
    const codes = new Set(wanted.map((value) => this.codes.get(value)))
    for (const part of this.keys.parts) {
      for (const key of part) {
        const row = Math.floor(key / SHIFT)
        if (codes.has(key - row * SHIFT)) has[row] = 1
      }
    }
  }

  /** Count the pictures of each value among those that every other filter lets through. */
  count(failures, failed, own) {
    const counts = new Uint32Array(this.values.length)
    for (const part of this.keys.parts) {
      for (const key of part) {
        const row = Math.floor(key / SHIFT)
        if (failures[row] === NONE || (failures[row] === 1 && failed[row] === own)) counts[key - row * SHIFT] += 1
      }
    }
    return counts
  }
}

/**
 * Apply filters to all pictures.
 * @param {number} numRows
 * @param {{name: string, has: Uint8Array}[]} filters each with 1 for the pictures that it lets through
 */
export function applyFilters(numRows, filters) {
  const failures = new Uint8Array(numRows)
  const failed = new Uint8Array(numRows)
  filters.forEach(({ has }, number) => {
    for (let row = 0; row < numRows; row++) {
      if (!has[row]) {
        failures[row] += 1
        failed[row] = number
      }
    }
  })
  return { failures, failed }
}
