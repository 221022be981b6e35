// Reads parts of files by HTTP range requests.

const CACHE_BYTES = 24e6 // small parts that are asked for again, such as indexes of pages
const CACHED_PART_BYTES = 1e6
const WHOLE_BYTES = 64e6 // a server without ranges sends whole files: up to this size they are used
const RETRY_MS = [250, 1000]

/** What was read, for the page's foot, and whether the server knows ranges. */
export const traffic = { numBytes: 0, numRequests: 0, hasRanges: true }

const parts = new Map() // url and range → promise of bytes, the least recently used first
let cachedBytes = 0
const wholes = new Map()

/** Keep what is read as a property of an object for the next time, unless it fails: then it is read again. */
export function once(owner, name, read) {
  if (!owner[name]) {
    owner[name] = read()
    owner[name].catch(() => { owner[name] = undefined })
  }
  return owner[name]
}

/** Read again after an error that may pass, such as a lost connection, for which `fetch` has a TypeError. */
async function retry(read) {
  for (const wait of RETRY_MS) {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof TypeError || error.mayPass)) throw error
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
  return read()
}

/**
 * Return bytes `start` to `end` (not included) of a file.
 * @param {string} url
 * @param {number} start
 * @param {number} end
 * @returns {Promise<ArrayBuffer>}
 */
export async function readRange(url, start, end) {
  if (end <= start) return new ArrayBuffer(0)
  const key = `${start}-${end} ${url}`
  const known = parts.get(key)
  if (known) {
    parts.delete(key)
    parts.set(key, known)
    return known
  }
  const reading = retry(() => fetchRange(url, start, end))
  if (end - start <= CACHED_PART_BYTES) {
    parts.set(key, reading)
    cachedBytes += end - start
    reading.catch(() => forget(key, end - start))
    for (const oldest of parts.keys()) {
      if (cachedBytes <= CACHE_BYTES) break
      const [from, to] = oldest.split(' ', 1)[0].split('-').map(Number)
      forget(oldest, to - from)
    }
  }
  return reading
}

function forget(key, numBytes) {
  if (parts.delete(key)) cachedBytes -= numBytes
}

/**
 * Read bytes `start` to `end` (not included) of a file into a buffer, at an offset. They are not kept for others.
 * Before the offset, the buffer has what comes before them in the file.
 * @returns {Promise<ArrayBuffer>} the buffer with them, to use in place of the one that was given
 */
export function readInto(url, start, end, buffer, offset) {
  const size = buffer.byteLength
  let own = buffer
  return retry(async () => {
    const isLost = own.byteLength < size // with the stream that was to fill it: read what it had, too
    if (isLost) own = new ArrayBuffer(size)
    own = await fetchInto(url, start - (isLost ? offset : 0), end, own, isLost ? 0 : offset)
    return own
  })
}

async function fetchInto(url, start, end, buffer, offset) {
  let own = buffer
  const data = await fetchRange(url, start, end, async (response) => {
    let stream
    try {
      stream = response.body.getReader({ mode: 'byob' })
    } catch { // an older browser
      return response.arrayBuffer()
    }
    let at = 0
    while (at < end - start) {
      const { value, done } = await stream.read(new Uint8Array(own, offset + at, end - start - at))
      if (value) own = value.buffer
      if (done) break
      at += value.length
    }
    return new Uint8Array(own, offset, at)
  })
  if (data.buffer !== own) new Uint8Array(own).set(new Uint8Array(data), offset)
  return own
}

async function fetchRange(url, start, end, take = (response) => response.arrayBuffer()) {
  const whole = wholes.get(url)
  if (whole) return (await whole).slice(start, end)
  traffic.numRequests += 1
  const response = await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` } })
  if (response.status === 206) {
    const data = await take(response)
    traffic.numBytes += data.byteLength
    if (data.byteLength !== end - start) {
      // Or the browser had a part of it, and the server failed with the rest: Chromium then answers with less.
      const message = `${nameOf(url)} is not the file of the manifest: a part has ${data.byteLength} bytes, not ${end - start}`
      throw Object.assign(new Error(message), { mayPass: true })
    }
    return data
  }
  if (!response.ok) throw unreadable(url, response)
  traffic.hasRanges = false
  const size = Number(response.headers.get('Content-Length'))
  if (size > WHOLE_BYTES || (wholes.size > 0 && !wholes.has(url) && totalOf(wholes) + size > 4 * WHOLE_BYTES)) {
    await response.body?.cancel()
    throw new Error(`this server sends whole files, and ${nameOf(url)} is too large for that`)
  }
  const reading = response.arrayBuffer()
  wholes.set(url, reading)
  reading.then((data) => { traffic.numBytes += data.byteLength; reading.size = data.byteLength }, () => wholes.delete(url))
  return (await reading).slice(start, end)
}

function totalOf(files) {
  let total = 0
  for (const reading of files.values()) total += reading.size ?? 0
  return total
}

function nameOf(url) {
  return decodeURIComponent(new URL(url).pathname.split('/').slice(-2).join('/'))
}

const unreadable = (url, { status }) => Object.assign(new Error(`${nameOf(url)} cannot be read (HTTP ${status})`), { mayPass: status >= 500 })

/** Return a small file's text, or null where there is none. */
export const readText = (url) => retry(() => fetchText(url))

async function fetchText(url) {
  traffic.numRequests += 1
  const response = await fetch(url)
  if (response.status === 404) return null
  if (!response.ok) throw unreadable(url, response)
  const text = await response.text()
  traffic.numBytes += text.length
  return text
}
