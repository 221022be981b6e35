// What the kit's own checker says of a caption: `sfhq explore` has it, and a page without the command does not.

const MAX_CHARS = 2000 // longer ones take the checker too long, and are not drawn in one piece
const MAX_ATTRIBUTES = 200

/**
 * Ask whether a caption says what the attributes beside it say, and nothing else of the person.
 * @param {object} caption a row of the config `captions`
 * @param {boolean} canAsk whether there is the command
 * @returns {Promise<{missing: {attribute: string, value: string}[], added: {start: number, end: number, what: string}[]} | null>}
 *   null where nothing is checked: the checker reads English, of usual length
 */
export async function checkCaption({ caption, language, attributes }, canAsk) {
  const isEnglish = !language || /^en(-|$)/i.test(language)
  if (!canAsk || !caption || !attributes?.length || !isEnglish) return null
  if (caption.length > MAX_CHARS || attributes.length > MAX_ATTRIBUTES) return null
  const facts = attributes.map(({ attribute, value }) => ({ attribute, value }))
  const response = await fetch('api/check', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text: caption, attributes: facts }),
  })
  if (!response.ok) throw new Error(`the caption could not be checked (HTTP ${response.status})`)
  return response.json()
}

/** Cut a text at what was added: parts of it, each with what is said there beside the attributes, if anything. */
export function cutAdded(text, added) {
  const characters = [...text] // places count characters, and JavaScript counts halves of some
  const parts = []
  let at = 0
  for (const { start, end, what } of added) {
    if (start < at) continue // within the one before
    if (start > at) parts.push({ text: characters.slice(at, start).join(''), what: null })
    parts.push({ text: characters.slice(start, end).join(''), what })
    at = end
  }
  if (at < characters.length) parts.push({ text: characters.slice(at).join(''), what: null })
  return parts
}
