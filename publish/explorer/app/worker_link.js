// Asks the worker, which reads the release.

export class Reader extends EventTarget {
  constructor() {
    super()
    this.worker = new Worker(new URL('reader.js', document.baseURI), { type: 'module' })
    this.waiting = new Map()
    this.number = 0
    this.worker.onmessage = ({ data }) => {
      if (data.event) {
        this.dispatchEvent(new CustomEvent(data.event, { detail: data }))
        return
      }
      const { resolve, reject } = this.waiting.get(data.number)
      this.waiting.delete(data.number)
      if (data.error === undefined) resolve(data.value)
      else reject(new Error(data.error))
    }
    this.worker.onerror = () => this.dispatchEvent(new CustomEvent('problem', { detail: { message: 'reader.js did not start' } }))
  }

  /** Return the worker's answer. */
  ask(name, ...values) {
    const number = this.number++
    this.worker.postMessage({ number, name, values })
    return new Promise((resolve, reject) => this.waiting.set(number, { resolve, reject }))
  }

  on(event, listener) { this.addEventListener(event, ({ detail }) => listener(detail)) }
}

const RETRY_MS = [1000, 4000]

/** Show the thumbnails of rows in <img> elements as they come. */
export class Thumbs extends EventTarget {
  constructor(reader) {
    super()
    this.reader = reader
    this.waiting = new Map() // row → elements that wait for its thumbnail
    this.failed = new Set() // rows that could not be read
    reader.on('thumbnail', ({ row, data }) => {
      if (this.failed.delete(row) && !this.failed.size) this.dispatchEvent(new Event('change'))
      const images = this.waiting.get(row)
      if (!images) return
      this.waiting.delete(row)
      for (const image of images) if (image.isConnected) setPicture(image, data)
    })
  }

  /** @param {Map<HTMLImageElement, number>} wanted image → row */
  show(wanted) {
    const rows = new Set()
    for (const [image, row] of wanted) {
      if (!this.waiting.has(row)) this.waiting.set(row, new Set())
      this.waiting.get(row).add(image)
      rows.add(row)
    }
    if (rows.size) this.#read([...rows], 0)
  }

  /** Ask again for those that could not be read and are still in the page. */
  retry() {
    const rows = [...this.failed]
    this.failed.clear()
    this.dispatchEvent(new Event('change'))
    this.#read(rows, 0)
  }

  async #read(rows, tries) {
    try {
      await this.reader.ask('thumbnails', rows)
    } catch (error) {
      const missing = rows.filter((row) => this.#isWanted(row))
      if (!missing.length) return
      if (tries < RETRY_MS.length) setTimeout(() => this.#read(missing, tries + 1), RETRY_MS[tries])
      else {
        for (const row of missing) this.failed.add(row)
        this.problem = error.message
        this.dispatchEvent(new Event('change'))
      }
    }
  }

  #isWanted(row) {
    const images = this.waiting.get(row)
    if (!images) return false
    for (const image of images) if (image.isConnected) return true
    this.waiting.delete(row)
    return false
  }
}

/** Show an image's bytes in an element. */
export function setPicture(image, data) {
  dropPicture(image)
  image.src = URL.createObjectURL(new Blob([data], { type: mediaType(data) }))
}

/** Let go of the bytes that an element shows. */
export function dropPicture(image) {
  if (image.src.startsWith('blob:')) URL.revokeObjectURL(image.src)
}

/** Let go of the bytes of all images in an element that is about to be removed. */
export function dropPictures(element) {
  for (const image of element.querySelectorAll('img')) dropPicture(image)
}

// The media type is told from the bytes, and is never one that could hold script, such as SVG.
function mediaType(data) {
  const [first, second] = new Uint8Array(data, 0, Math.min(2, data.byteLength))
  return first === 0xff && second === 0xd8 ? 'image/jpeg' : first === 0x89 ? 'image/png' : 'image/webp'
}
