// The facets beside the wall: each value is a bar of the pictures that have it, and filters when clicked.

import { count, h, plural, replaceWithFocus, words } from './dom.js'
import { CLEARED, go, nameValue, toggleFacet, valueOf } from './address.js'

const SHOWN = 8
const FIND_FROM = 20 // a facet with more values has a field to find one
const TYPING_MS = 180
const opened = new Set() // facets of which all values are shown
const unfolded = new Map() // facet → whether a person folded it out or in

/** Facet → the part of a value that is looked for. */
export const wanted = new Map()

/** Draw the facets of what is shown. */
export function drawFacets(element, { facets, adherence }, state) {
  const groups = new Map()
  for (const facet of facets) {
    if (!groups.has(facet.group)) groups.set(facet.group, [])
    groups.get(facet.group).push(facet)
  }
  const parts = []
  for (const [group, own] of groups) {
    if (group) parts.push(h('h2', {}, group))
    own.sort((one, other) => Number(group !== null) * (one.title < other.title ? -1 : 1))
    parts.push(...own.map((facet) => drawFacet(facet, state, group === null && facet.numValues > 1)))
  }
  if (adherence) parts.splice(groups.get(null)?.length ?? 0, 0, drawHistogram(adherence, state, {}))
  const { scrollTop } = element
  replaceWithFocus(element, ...parts)
  element.scrollTop = scrollTop
}

function drawFacet(facet, state, isOpen) {
  const { name, title, values, numValues, numFound } = facet
  const chosen = state.facets[name] ?? []
  const isChosen = ({ value }) => chosen.includes(nameValue(value))
  const isFinding = Boolean(wanted.get(name)?.trim())
  const most = Math.max(1, ...values.map((each) => each.count))
  const shown = opened.has(name) || isFinding ? values : values.filter((each, at) => at < SHOWN || isChosen(each))
  const more = numFound - shown.length
  const details = h('details.facet', { open: unfolded.get(name) ?? (isOpen || chosen.length > 0) },
    h('summary', { 'data-key': name }, words(title), chosen.length ? h('span.badge', { title: `${chosen.length} chosen` }, count(chosen.length)) : h('span.dim', { title: plural(numValues, 'value') }, count(numValues))),
    numValues > FIND_FROM ? drawFinder(name, title) : null,
    h('ul', {}, shown.map((each) => drawValue(name, each, isChosen(each), most))),
    isFinding && !numFound ? h('p.dim', {}, 'No value is like this.') : null,
    more > 0 && shown.length === values.length ? h('p.dim', {}, `${count(more)} more; find them above.`) : null,
    shown.length < values.length || opened.has(name) ? h('button.more', {
      type: 'button', 'data-key': `more:${name}`,
      onclick: () => {
        if (!opened.delete(name)) opened.add(name)
        dispatchEvent(new Event('facets-changed'))
      },
    }, opened.has(name) ? 'fewer' : `${count(more)} more`) : null)
  details.addEventListener('toggle', () => unfolded.set(name, details.open))
  return details
}

function drawValue(name, { value, count: number }, isChosen, most) {
  return h('li', {}, h('button.value', {
    type: 'button', 'aria-pressed': String(isChosen), 'data-key': `${name}=${nameValue(value)}`, 'data-facet': name, 'data-value': value,
    title: String(value ?? 'not known').slice(0, 300), style: { '--share': `${(100 * number) / most}%` },
    onclick: () => go({ facets: toggleFacet(name, nameValue(value)), view: 'pictures', picture: null }),
  }, h('span', {}, words(value ?? 'not known')), h('span.number', {}, count(number))))
}

let typing

function drawFinder(name, title) {
  const field = h('input.find', {
    type: 'search', 'data-key': `find:${name}`, 'aria-label': `Find a value of ${title}`, placeholder: 'Find a value', autocomplete: 'off', spellcheck: 'false',
    oninput: () => {
      wanted.set(name, field.value)
      clearTimeout(typing)
      typing = setTimeout(() => dispatchEvent(new Event('values-wanted')), TYPING_MS)
    },
  })
  field.value = wanted.get(name) ?? ''
  return field
}

/** Draw how many pictures have which adherence; a bar filters, and goes where `changes` lead. */
export function drawHistogram({ edges, most, counts }, state, changes) {
  const highest = Math.max(1, ...counts)
  return h('details.facet', { open: true },
    h('summary', { 'data-key': 'adherence' }, 'Adherence to the prompt', state.adherence ? h('span.badge', {}, '1') : null),
    h('div.histogram', { role: 'group', 'aria-label': 'Adherence to the prompt' }, counts.map((number, at) => {
      const range = `${edges[at]}~${at < counts.length - 1 ? edges[at + 1] : ''}`
      const label = `${edges[at].toFixed(3)} to ${(at < counts.length - 1 ? edges[at + 1] : most).toFixed(3)}: ${count(number)}`
      const isChosen = state.adherence === range
      return h('button.bar', {
        type: 'button', 'aria-pressed': String(isChosen), 'data-key': `adherence=${at}`, 'aria-label': label, title: label,
        style: { '--share': `${number ? Math.max(3, (100 * number) / highest) : 0}%` },
        disabled: !number && !isChosen, onclick: () => go({ view: 'pictures', picture: null, ...changes, adherence: isChosen ? '' : range }),
      })
    })),
    h('div.ends', { 'aria-hidden': 'true' }, h('span', {}, edges[0].toFixed(2)), h('span', {}, most.toFixed(2))))
}

/** Return the least adherence of a range in an address, and the one below which it ends. */
export function readRange(text) {
  const [least, most] = text.split('~')
  return [Number(least), most ? Number(most) : Infinity]
}

/** Draw the filters that hold, each with a way out. */
export function drawChips(element, state) {
  const chips = []
  const add = (label, changes) => chips.push(h('button.chip', {
    type: 'button', 'data-key': label, onclick: () => go(changes), 'aria-label': `remove filter ${label}`, title: label.slice(0, 300),
  }, words(label, 80), h('span', { 'aria-hidden': 'true' }, ' ×')))
  for (const [name, values] of Object.entries(state.facets)) {
    const title = name.replace(/^(asked|seen):/, '$1 ').replaceAll('_', ' ')
    for (const value of values) add(`${title}: ${valueOf(value) ?? 'not known'}`, { facets: toggleFacet(name, value) })
  }
  if (state.q) add(`text: ${state.q}`, { q: '' })
  if (state.meaning) add(`meaning: ${state.meaning}`, { meaning: '' })
  if (state.like) add(`like ${state.like}`, { like: '' })
  if (state.adherence) {
    const [least, most] = readRange(state.adherence)
    add(`adherence ${most === Infinity ? 'from ' : ''}${least.toFixed(3)}${most === Infinity ? '' : ` to ${most.toFixed(3)}`}`, { adherence: '' })
  }
  if (state.marked) add('marked', { marked: '' })
  if (chips.length > 1) chips.push(h('button.chip.all', { type: 'button', 'data-key': 'all', onclick: () => go({ ...CLEARED, sort: state.sort }) }, 'remove all'))
  return replaceWithFocus(element, ...chips)
}
