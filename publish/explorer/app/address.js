// The page's address after #: which view, which picture, and how the pictures are filtered and sorted.

const OWN = ['q', 'like', 'meaning', 'sort', 'adherence', 'marked', 'category', 'decision', 'kind']
export const VIEWS = ['pictures', 'pairs', 'duplicates', 'changes', 'rejected', 'numbers']

/** Read an address; what it does not say has its default. */
export function readAddress(hash = location.hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?')
  const [first, id] = path.split('/')
  const state = { view: VIEWS.includes(first) ? first : 'pictures', picture: null, facets: {} }
  if (first === 'picture' && id) state.picture = safely(id)
  for (const name of OWN) state[name] = ''
  for (const [name, value] of new URLSearchParams(query)) {
    if (OWN.includes(name)) state[name] = value
    else (state.facets[name] ??= []).push(value)
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
  const path = state.picture ? `picture/${encodeURIComponent(state.picture)}` : state.view
  return `#/${path}${query.size ? `?${query}` : ''}`
}

/** Go to another address; `replace` leaves no step for the browser's back button. */
export function go(changes, replace = false) {
  const address = writeAddress({ ...readAddress(), ...changes })
  if (address === location.hash) return
  if (replace) {
    history.replaceState(null, '', address)
    dispatchEvent(new HashChangeEvent('hashchange'))
  } else location.hash = address
}

/** Return the address with some changes, for a link. */
export const linkTo = (changes) => writeAddress({ ...readAddress(), ...changes })

/** Add a facet's value to the filters, or take it out if it is there. */
export function toggleFacet(name, value) {
  const { facets } = readAddress()
  const own = facets[name] ?? []
  const next = own.includes(value) ? own.filter((one) => one !== value) : [...own, value]
  const { [name]: _, ...others } = facets
  return next.length ? { ...others, [name]: next } : others
}
