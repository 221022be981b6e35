// The page's address after #: which view, which picture, and how the pictures are filtered and sorted.

const OWN = ['q', 'like', 'meaning', 'sort', 'adherence', 'marked', 'category', 'decision', 'model', 'kind']
const FACET = /^(generator|split|license|format|(asked|seen):.+)$/s
export const VIEWS = ['pictures', 'pairs', 'duplicates', 'changes', 'rejected', 'numbers']

/** What a view is filtered by, with nothing filtered. */
export const CLEARED = { facets: {}, ...Object.fromEntries(OWN.map((name) => [name, ''])) }

/** Read an address; what it does not say has its default. */
export function readAddress(hash = location.hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?')
  const parts = path.split('/')
  const view = VIEWS.includes(parts[0]) ? parts.shift() : 'pictures'
  const state = { ...CLEARED, view, picture: null, facets: {} }
  if (parts[0] === 'picture' && parts[1]) state.picture = safely(parts[1])
  for (const [name, value] of new URLSearchParams(query)) {
    if (OWN.includes(name)) state[name] = value
    else if (FACET.test(name)) (state.facets[name] ??= []).push(value)
  }
  return state
}

function safely(text) {
  try { return decodeURIComponent(text) } catch { return text }
}

/** Write an address. */
export function writeAddress(state) {
  const query = new URLSearchParams()
  for (const [name, values] of Object.entries(state.facets)) for (const value of values) query.append(name, value)
  for (const name of OWN) if (state[name]) query.set(name, state[name])
  const path = !state.picture ? state.view
    : `${state.view === 'pictures' ? '' : `${state.view}/`}picture/${encodeURIComponent(state.picture)}`
  return `#/${path}${query.size ? `?${query}` : ''}`
}

/** Go to another address; `replace` leaves no step for the browser's back button. */
export function go(changes, replace = false) {
  const address = writeAddress({ ...readAddress(), ...changes })
  if (address === location.hash) return
  if (replace) {
    history.replaceState(history.state, '', address)
    dispatchEvent(new HashChangeEvent('hashchange'))
  } else location.hash = address
}

let numSteps = 0

/** Return a name of this step of the browser's history: Back leads to the same one. */
export function readStep() {
  if (!history.state?.step) history.replaceState({ step: `${performance.timeOrigin}-${numSteps++}` }, '')
  return history.state.step
}

/** Return the address with some changes, for a link. */
export const linkTo = (changes) => writeAddress({ ...readAddress(), ...changes })

/** Name a value in an address: null, which is not known, has a name that no value has. */
export const nameValue = (value) => (value === null ? '~' : String(value).startsWith('~') ? `~${value}` : String(value))

/** Return the value of a name in an address. */
export const valueOf = (name) => (name === '~' ? null : name.startsWith('~~') ? name.slice(1) : name)

/** Add a facet's value to the filters, or take it out if it is there. */
export function toggleFacet(name, value) {
  const { facets } = readAddress()
  const own = facets[name] ?? []
  const next = own.includes(value) ? own.filter((one) => one !== value) : [...own, value]
  const { [name]: _, ...others } = facets
  return next.length ? { ...others, [name]: next } : others
}
