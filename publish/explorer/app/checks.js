// What the kit's own checker says of a caption: `sfhq explore` has it, and a page without the command does not.

// caption_checks.py has the same. Longer texts take the checker too long, and are not drawn in one piece.
const MAX_CHARS = 2000
const MAX_ATTRIBUTES = 200
const MAX_NAME_CHARS = 100
const MAX_VALUE_CHARS = 1000
const MAX_ATTRIBUTE_CHARS = 20000

// More than spaces, of which Python knows some that JavaScript does not.
const hasWords = (text) => /[^\s\x1c-\x1f\x85]/.test(text ?? '')
const fits = ({ attribute, value }) => hasWords(attribute) && hasWords(value) && attribute.length <= MAX_NAME_CHARS && value.length <= MAX_VALUE_CHARS

/**
 * Ask whether a caption says what the attributes beside it say, and nothing else of the person.
 * @param {object} caption a row of the config `captions`
 * @returns {Promise<{missing: {attribute: string, value: string}[], added: {start: number, end: number, what: string}[]} | null>}
 *   null where nothing is checked: the checker reads English, of usual length
 */
export async function checkCaption({ caption, language, attributes }) {
  const isEnglish = !language || /^en(-|$)/i.test(language)
  const facts = (attributes ?? []).filter(fits).map(({ attribute, value }) => ({ attribute, value }))
  if (!hasWords(caption) || !facts.length || !isEnglish) return null
  const numChars = facts.reduce((total, { attribute, value }) => total + attribute.length + value.length, 0)
  if (caption.length > MAX_CHARS || facts.length > MAX_ATTRIBUTES || numChars > MAX_ATTRIBUTE_CHARS) return null
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
