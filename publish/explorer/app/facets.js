// Facets: which values the pictures have of an attribute, and how many pictures have each.

const SHIFT = 2 ** 24 // a key is row × SHIFT + code, so that sorted keys are sorted by row; a Map holds no more values
const NONE = 0

class Keys {
  constructor() { this.data = new Float64Array(1024); this.length = 0 }

  push(value) {
    if (this.length === this.data.length) {
      const larger = new Float64Array(2 * this.length)
      larger.set(this.data)
      this.data = larger
    }
    this.data[this.length++] = value
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
    this.keys.push(row * SHIFT + code)
  }

  /** Sort what was added. */
  finish() {
    const sorted = this.keys.data.subarray(0, this.keys.length).sort()
    let length = 0
    for (let at = 0; at < sorted.length; at++) {
      if (at === 0 || sorted[at] !== sorted[at - 1]) sorted[length++] = sorted[at]
    }
    this.sorted = sorted.slice(0, length)
    this.keys = null
    return this
  }

  /** Set `has[row]` for each picture that has one of some values. */
  mark(wanted, has) {
    const codes = new Set(wanted.map((value) => this.codes.get(value)))
    for (const key of this.sorted) {
      const row = Math.floor(key / SHIFT)
      if (codes.has(key - row * SHIFT)) has[row] = 1
    }
  }

  /** Count the pictures of each value among those that every other filter lets through. */
  count(failures, failed, own) {
    const counts = new Uint32Array(this.values.length)
    for (const key of this.sorted) {
      const row = Math.floor(key / SHIFT)
      if (failures[row] === NONE || (failures[row] === 1 && failed[row] === own)) counts[key - row * SHIFT] += 1
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
