// The tables of a release: the Parquet files of its configs, read by column and by row.

import { parquetMetadataAsync, parquetRead, parquetScan } from 'hyparquet'
import { decompress } from 'fzstd'
import { once, readRange } from './ranges.js'

const compressors = { ZSTD: (data) => decompress(data) }
const FOOTER_BYTES = 1 << 16

class TableFile {
  constructor(url, name, byteLength, numRows, start) {
    Object.assign(this, { url, name, byteLength, numRows, start })
    this.file = { byteLength, slice: (from, to = byteLength) => readRange(url, from, to) }
  }

  metadata() { return once(this, 'footer', () => this.naming(parquetMetadataAsync(this.file, { initialFetchSize: FOOTER_BYTES }))) }

  /** Wait for what is read of the file; an error then names the file. */
  async naming(reading) {
    try {
      return await reading
    } catch (error) {
      throw error.message.includes(this.name) ? error : new Error(`${this.name} cannot be read: ${error.message}`, { cause: error })
    }
  }

  /** Open the file for columns of single rows; bytes stay bytes if `isBinary`. */
  async scan(isBinary = false) {
    const metadata = await this.metadata()
    return parquetScan({ file: this.file, metadata, compressors, utf8: !isBinary })
  }
}

export class Table {
  /**
   * @param {string} base address of the release, with a slash at its end
   * @param {{path: string, num_bytes: number, num_rows: number}[]} shards
   */
  constructor(base, shards) {
    let start = 0
    this.files = shards.map((shard) => {
      const file = new TableFile(base + shard.path.split('/').map(encodeURIComponent).join('/'), shard.path, shard.num_bytes, shard.num_rows, start)
      start += shard.num_rows
      return file
    })
    this.numRows = start
  }

  /** Whether its files have a column. */
  async has(column) {
    if (!this.files.length) return false
    const { schema } = await this.files[0].metadata()
    return schema.some((element) => element.name === column)
  }

  /**
   * Yield columns row group by row group, in order; the next group is fetched while one is used.
   * @param {string[]} columns
   */
  async *groups(columns) {
    let next = null
    for await (const place of this.rowGroups()) {
      const reading = this.readGroup(place, columns)
      reading.catch(() => {})
      if (next) yield await next
      next = reading
    }
    if (next) yield await next
  }

  /** Yield the place of each row group: its file, its rows in that, and what the file's footer says. */
  async *rowGroups() {
    for (const file of this.files) {
      const { schema, row_groups: groups } = await file.metadata()
      let first = 0
      for (const group of groups) {
        const end = first + Number(group.num_rows)
        yield { file, first, end, group, schema }
        first = end
      }
    }
  }

  /** Read some columns of a row group. */
  async readGroup({ file, first, end }, columns) {
    const metadata = await file.metadata()
    const read = async () => {
      const scan = await parquetScan({ file: file.file, metadata, compressors, columns, useOffsetIndex: false })
      return Promise.all(columns.map((column) => scan.readColumn({ column, rowStart: first, rowEnd: end })))
    }
    const values = await file.naming(read())
    return { start: file.start + first, numRows: end - first, values: Object.fromEntries(columns.map((name, at) => [name, values[at]])) }
  }

  /** Return every column of one row, numbered over all files. */
  async row(number) {
    const file = this.#fileOf(number)
    const at = number - file.start
    const metadata = await file.metadata()
    let rows = []
    await file.naming(parquetRead({
      file: file.file, metadata, compressors, rowStart: at, rowEnd: at + 1, rowFormat: 'object',
      onComplete: (found) => { rows = found },
    }))
    return rows[0]
  }

  /** Return one column of one row, and read its page only. */
  async cell(column, number, isBinary = false) {
    const file = this.#fileOf(number)
    const at = number - file.start
    const scan = await file.scan(isBinary)
    const [value] = await file.naming(scan.readColumn({ column, rowStart: at, rowEnd: at + 1 }))
    return value
  }

  #fileOf(number) {
    const file = this.files.find((each) => number < each.start + each.numRows)
    if (!file || number < 0) throw new Error(`there is no row ${number}`)
    return file
  }
}
