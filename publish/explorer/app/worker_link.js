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

const shown = new Map() // row → listeners that wait for its thumbnail

/** Show the thumbnails of rows in <img> elements as they come. */
export class Thumbs {
  constructor(reader) {
    this.reader = reader
    reader.on('thumbnail', ({ row, data }) => {
      const images = shown.get(row)
      if (!images) return
      shown.delete(row)
      for (const image of images) if (image.isConnected) setPicture(image, data)
    })
  }

  /** @param {Map<HTMLImageElement, number>} wanted image → row */
  show(wanted) {
    const rows = new Set()
    for (const [image, row] of wanted) {
      if (!shown.has(row)) shown.set(row, new Set())
      shown.get(row).add(image)
      rows.add(row)
    }
    if (rows.size) this.reader.ask('thumbnails', [...rows]).catch(() => {})
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

// The media type is told from the bytes, and is never one that could hold script, such as SVG.
function mediaType(data) {
  const [first, second] = new Uint8Array(data, 0, Math.min(2, data.byteLength))
  return first === 0xff && second === 0xd8 ? 'image/jpeg' : first === 0x89 ? 'image/png' : 'image/webp'
}
