// The facets beside the wall: each value is a bar of the pictures that have it, and filters when clicked.

import { count, h, words } from './dom.js'
import { go, readAddress, toggleFacet } from './address.js'

const SHOWN = 8
const opened = new Set() // facets of which all values are shown
const unfolded = new Map() // facet → whether a person folded it out or in

/** Draw the facets of what is shown. */
export function drawFacets(element, { facets, adherence }, state) {
  const focused = document.activeElement?.dataset?.key
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
  if (adherence) parts.splice(groups.get(null)?.length ?? 0, 0, drawHistogram(adherence, state))
  element.replaceChildren(...parts)
  if (focused) [...element.querySelectorAll('[data-key]')].find((each) => each.dataset.key === focused)?.focus()
}

function drawFacet(facet, state, isOpen) {
  const { name, title, values, numValues } = facet
  const chosen = state.facets[name] ?? []
  const listed = values.filter(({ value, count: number }) => number || chosen.includes(String(value)))
  const most = Math.max(1, ...listed.map((each) => each.count))
  const shown = opened.has(name) ? listed : listed.filter(({ value }, at) => at < SHOWN || chosen.includes(String(value)))
  const more = listed.length - shown.length
  const details = h('details.facet', { open: unfolded.get(name) ?? (isOpen || chosen.length > 0) },
    h('summary', {}, words(title), chosen.length ? h('span.badge', {}, count(chosen.length)) : h('span.dim', {}, count(numValues))),
    h('ul', {}, shown.map(({ value, count: number }) => {
      const isChosen = chosen.includes(String(value))
      return h('li', {}, h('button.value', {
        type: 'button', 'aria-pressed': String(isChosen), 'data-key': `${name}=${value}`, 'data-facet': name, 'data-value': value,
        style: { '--share': `${(100 * number) / most}%` },
        onclick: () => go({ facets: toggleFacet(name, String(value)), view: 'pictures', picture: null }),
      }, h('span', {}, words(value ?? 'not known')), h('span.number', {}, count(number))))
    })),
    more > 0 || opened.has(name) ? h('button.more', {
      type: 'button',
      onclick: () => {
        if (!opened.delete(name)) opened.add(name)
        dispatchEvent(new Event('facets-changed'))
      },
    }, more > 0 ? `${count(more)} more` : 'fewer') : null)
  details.addEventListener('toggle', () => unfolded.set(name, details.open))
  return details
}

/** Draw how many pictures have which adherence; a bar filters. */
export function drawHistogram({ least, width, counts }, state) {
  const most = Math.max(1, ...counts)
  const chosen = state.adherence ? state.adherence.split('~').map(Number) : null
  return h('details.facet', { open: true },
    h('summary', {}, 'Adherence to the prompt', chosen ? h('span.badge', {}, '1') : null),
    h('div.histogram', { role: 'group', 'aria-label': 'Adherence to the prompt' }, counts.map((number, at) => {
      const from = least + at * width
      const to = from + width
      const isChosen = chosen !== null && from >= chosen[0] - width / 2 && to <= chosen[1] + width / 2
      // The last bar has the highest score, which sums of widths may miss by their rounding.
      const range = `${(from - width * 1e-6).toFixed(6)}~${(to + (at === counts.length - 1 ? width : 0) * 1e-3).toFixed(6)}`
      return h('button.bar', {
        type: 'button', 'aria-pressed': String(isChosen), 'data-key': `adherence=${at}`,
        'aria-label': `${from.toFixed(3)} to ${to.toFixed(3)}: ${count(number)}`, title: `${from.toFixed(3)} to ${to.toFixed(3)}: ${count(number)}`,
        style: { '--share': `${number ? Math.max(3, (100 * number) / most) : 0}%` },
        onclick: () => go({ adherence: isChosen ? '' : range, view: 'pictures', picture: null }),
      })
    })),
    h('div.ends', {}, h('span', {}, least.toFixed(2)), h('span', {}, (least + width * counts.length).toFixed(2))))
}

/** Draw the filters that hold, each with a way out. */
export function drawChips(element, state) {
  const chips = []
  const add = (label, changes) => chips.push(h('button.chip', { type: 'button', onclick: () => go(changes), 'aria-label': `remove filter ${label}` }, words(label, 80), h('span', { 'aria-hidden': 'true' }, ' ×')))
  for (const [name, values] of Object.entries(state.facets)) {
    for (const value of values) add(`${name.replace(/^(asked|seen):/, '$1 ').replaceAll('_', ' ')}: ${value}`, { facets: toggleFacet(name, value) })
  }
  if (state.q) add(`text: ${state.q}`, { q: '' })
  if (state.meaning) add(`meaning: ${state.meaning}`, { meaning: '' })
  if (state.like) add(`like ${state.like}`, { like: '' })
  if (state.adherence) add(`adherence ${state.adherence.split('~').map((one) => Number(one).toFixed(3)).join(' to ')}`, { adherence: '' })
  if (state.marked) add('marked', { marked: '' })
  if (chips.length > 1) chips.push(h('button.chip.all', { type: 'button', onclick: () => go({ ...readAddress(), facets: {}, q: '', meaning: '', like: '', adherence: '', marked: '' }) }, 'remove all'))
  element.replaceChildren(...chips)
}
