// Pairs, near-duplicates, changes and rejected rows.

import { count, h, plural, readable, words } from './dom.js'
import { go, nameValue, valueOf } from './address.js'
import { LongList } from './lists.js'
import { drawSmall, plain } from './picture.js'
import { setPicture } from './worker_link.js'

const LABELS = { votes_both_good: 'both good', votes_both_bad: 'both bad', votes_tie: 'tie', votes_toxic: 'toxic' }
const MOST_VOTES = 12

/** Show the small pictures of elements that came to the screen. */
function showSmall(reader, thumbs) {
  return async (elements) => {
    const images = elements.flatMap((element) => [...element.querySelectorAll('img[data-id]')])
    if (!images.length) return
    const rows = await reader.ask('places', images.map((image) => image.dataset.id))
    thumbs.show(new Map(images.map((image, at) => [image, rows[at]]).filter(([, row]) => row !== null)))
  }
}

/**
 * Filter rows by several choices, each of which counts its values among the rows that the others let through.
 * @param {object[]} rows
 * @param {{label: string, name: string, of: (row: object) => string[], text?: (value: string) => string}[]} choices
 *   `name` is the choice's in the address, and `of` returns what a row is found by
 */
function narrow(rows, choices, state) {
  const failures = rows.map((row) => choices.filter(({ name, of }) => state[name] && !of(row).includes(state[name])))
  const tools = choices.map((choice) => {
    const values = new Map(state[choice.name] ? [[state[choice.name], 0]] : [])
    const counted = rows.filter((_, at) => failures[at].every((failed) => failed === choice))
    for (const row of counted) for (const value of choice.of(row)) values.set(value, (values.get(value) ?? 0) + 1)
    return drawChoice(choice, values, counted.length, state[choice.name])
  })
  return { shown: rows.filter((_, at) => !failures[at].length), tools: h('div.page-tools', {}, tools) }
}

function drawChoice({ label, name, text = readable }, values, total, chosen) {
  const select = h('select', { 'data-key': name, onchange: () => go({ [name]: select.value }) },
    h('option', { value: '' }, `all (${count(total)})`),
    [...values].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1)).map(([value, number]) => h('option', { value, selected: value === chosen }, `${(valueOf(value) === null ? 'not known' : text(valueOf(value))).slice(0, 60)} (${count(number)})`)))
  return h('label', {}, `${label} `, select)
}

function page(title, note, tools, list) {
  const element = h('section.page', { 'aria-label': title },
    h('div.page-head', {}, h('h1', { tabindex: '-1' }, title), tools, h('p.dim', { role: 'status' }, note)), list instanceof LongList ? list.element : list)
  return list instanceof LongList ? { element, list, scroller: list.element } : { element }
}

const empty = (text) => h('p.empty', {}, text)

/** Draw the pairs, disagreement first. */
export async function drawPairs(reader, thumbs, state) {
  const all = await reader.ask('pairs')
  if (!all.length) return page('Pairs', '', null, empty('This release has no preference pairs.'))
  const { shown, tools } = narrow(all, [
    { label: 'Category', name: 'category', of: ({ category }) => [nameValue(category)] },
    { label: 'Decision', name: 'decision', of: (pair) => (hasWinner(pair) ? [pair.decision, DECIDED] : [pair.decision]), text: nameDecision },
    { label: 'Model', name: 'model', of: ({ model_1: first, model_2: second }) => [...new Set([first, second])].map(nameValue), text: String },
  ], state)
  const list = new LongList('Pairs of pictures', shown, (width) => (width < 560 ? 330 : 292), drawPair, showSmall(reader, thumbs))
  return page('Pairs', `${plural(shown.length, 'pair')}; those on which people disagree most come first`, tools, shown.length ? list : empty('No pair is like this.'))
}

/** Pairs on which one model won against another, as the card counts them. */
export const DECIDED = 'won'

/** Whether a pair says that one model is better than another. */
export function hasWinner({ decision, model_1: first, model_2: second }) {
  return decision.startsWith('image_') && first !== null && second !== null && first !== second
}

const DECISIONS = { [DECIDED]: 'one model won', image_1: 'first preferred', image_2: 'second preferred' }

/** Write a decision for people. */
export const nameDecision = (decision) => DECISIONS[decision] ?? readable(decision)

function drawPair(pair) {
  const others = Object.entries(LABELS).filter(([name]) => pair[name] > 0).map(([name, label]) => `${pair[name]} ${label}`)
  return h('article.pair', {},
    drawSide(pair, 1), drawSide(pair, 2),
    h('div.verdict', {},
      h('p.prompt', { dir: 'auto', title: (pair.prompt ?? '').slice(0, 1000) }, words(pair.prompt ?? 'prompt not known', 260)),
      h('div.balance', { role: 'img', 'aria-label': `${pair.votes_image_1} votes for the first, ${pair.votes_image_2} for the second` },
        h('span.first', { style: { 'flex-grow': pair.votes_image_1 } }), h('span.rest', { style: { 'flex-grow': others.length ? pair.num_responses - pair.votes_image_1 - pair.votes_image_2 : 0 } }), h('span.second', { style: { 'flex-grow': pair.votes_image_2 } })),
      h('p', {}, h('strong', {}, verdict(pair)), pair.agreement === null ? null : ` agreement ${Math.round(100 * pair.agreement)} %,`, ` ${plural(pair.num_responses, 'response')}`, others.length ? `, ${others.join(', ')}` : ''),
      pair.votes?.length ? h('ul.votes-cast', { 'aria-label': 'votes' }, pair.votes.slice(0, MOST_VOTES).map(drawVote),
        pair.votes.length > MOST_VOTES ? h('li', {}, `and ${count(pair.votes.length - MOST_VOTES)} more`) : null) : null,
      h('p.dim', {}, words([pair.category, pair.source, pair.id].filter(Boolean).join(' · '), 120))))
}

const SAID = { image_1: 'first', image_2: 'second', toxic_content: 'toxic' }

function drawVote({ annotator, label, status }) {
  const said = label === null ? 'no answer' : SAID[label] ?? readable(label)
  return h('li', { class: label === 'image_1' ? 'first' : label === 'image_2' ? 'second' : null },
    said, annotator === null ? null : h('span.dim', { title: annotator }, ' by ', words(annotator, 6)), status === 'submitted' ? null : ` (${status}, not counted)`)
}

function verdict({ decision, model_1: first, model_2: second }) {
  if (decision === 'image_1') return `First preferred${first ? ` (${first})` : ''},`
  if (decision === 'image_2') return `Second preferred${second ? ` (${second})` : ''},`
  return `${readable(decision)[0].toUpperCase()}${readable(decision).slice(1)},`
}

function drawSide(pair, number) {
  const id = pair[`image_${number}_id`]
  const isBest = pair.decision === `image_${number}`
  const text = [words(pair[`model_${number}`] ?? 'model not known', 40), h('b', {}, ` ${pair[`votes_image_${number}`]}`)]
  return id ? drawSmall(id, text, isBest ? 'best' : '') : h('div.small.gone', {}, h('div.no-image', {}, 'not in this release'), h('span', {}, text))
}

/** Draw the groups of near-duplicates, the largest first. */
export async function drawDuplicates(reader, thumbs) {
  const groups = await reader.ask('groups')
  if (!groups?.length) return page('Near-duplicates', '', null, empty(groups ? 'No two pictures of this release look alike.' : 'This release has no list of near-duplicates.'))
  const list = new LongList('Groups of near-duplicates', groups, 212, drawGroup, showSmall(reader, thumbs))
  const number = groups.reduce((sum, group) => sum + group.images.length, 0)
  return page('Near-duplicates', `${plural(groups.length, 'group')} of ${plural(number, 'picture')}, the largest first`, null, list)
}

function drawGroup({ images }) {
  const shown = images.slice(0, 60)
  return h('article.group', {}, h('h2', {}, plural(images.length, 'picture')),
    h('div.strip', {}, shown.map((image) => drawSmall(image.image_id, image.similarity === null ? `${image.hash_distance} bits` : image.similarity.toFixed(3))),
      images.length > shown.length ? h('span.dim', {}, `and ${count(images.length - shown.length)} more`) : null))
}

/** Draw what differs from the previous release, row by row. */
export async function drawChanges(reader, thumbs, state) {
  const changes = await reader.ask('changes')
  if (!changes) return page('Changes', '', null, empty('This is the first release: there is nothing that it changes.'))
  const { rows, hasPrevious } = changes
  const { shown, tools } = narrow(rows, [
    { label: 'Change', name: 'kind', of: ({ change }) => [change] },
    { label: 'Table', name: 'category', of: ({ config }) => [config] },
  ], state)
  const draw = (row) => drawChange(reader, row, hasPrevious)
  const list = new LongList('Changed rows', shown, (width) => (width < 560 ? 260 : 190), draw, (elements) => {
    showSmall(reader, thumbs)(elements)
    showRemoved(reader, elements)
  })
  const note = hasPrevious ? '' : '; the previous release is not beside this one, so that only what is now can be shown'
  return page('Changes', `${plural(shown.length, 'row')}${note}`, tools, shown.length ? list : empty('No row differs.'))
}

/** Show the pictures that only the previous release has. */
function showRemoved(reader, elements) {
  for (const image of elements.flatMap((element) => [...element.querySelectorAll('img[data-removed]')])) {
    reader.ask('previousImage', image.dataset.removed).then((data) => {
      if (image.isConnected) setPicture(image, data)
    }, (error) => image.replaceWith(h('div.no-image', { title: error.message }, 'cannot be read')))
  }
}

function drawChange(reader, row, hasPrevious) {
  const body = h('div.diff', {}, h('p.dim', {}, 'reading…'))
  reader.ask('change', { config: row.config, id: row.id, change: row.change }).then((found) => {
    body.replaceChildren(drawDifference(row, found))
  }, (error) => body.replaceChildren(h('p.problem', {}, error.message)))
  return h('article.change', {}, drawChanged(row, hasPrevious),
    h('div', {}, h('h2', {}, h('span', { class: `tag ${row.change}` }, row.change), ' ', row.config === 'prompts' ? 'picture' : readable(row.config), ' ', words(row.id, 60)), body))
}

function drawChanged({ config, change, id }, hasPrevious) {
  if (config !== 'prompts') return null
  if (change !== 'removed') return drawSmall(id, null)
  return h('div.small', {}, hasPrevious ? h('img', { alt: `removed picture ${id}`, 'data-removed': id }) : h('div.no-image', {}, 'not at hand'))
}

function drawDifference(row, { before, after }) {
  if (row.change !== 'edited') {
    const only = before ?? after
    const text = only?.prompt ?? only?.caption ?? null
    return text === null ? h('p.dim', {}, row.change === 'removed' && !before ? 'its old content is not at hand' : '') : h('p.text', { dir: 'auto' }, words(text, 400))
  }
  const columns = row.columns?.length ? row.columns : []
  return h('table', {}, h('thead', {}, h('tr', {}, ['', 'before', 'after'].map((head) => h('th', { scope: 'col' }, head)))),
    h('tbody', {}, columns.map((column) => h('tr', {}, h('th', { scope: 'row' }, readable(column)),
      [before, after].map((side) => h('td', { dir: 'auto' }, side ? words(plain(side[column] ?? '–'), 300) : h('span.dim', {}, 'not at hand')))))))
}

/** Draw the rows that were not published, with their reasons. */
export async function drawRejected(reader, thumbs, state) {
  const rows = await reader.ask('rejected')
  if (!rows?.length) return page('Rejected rows', '', null, empty('No list of rejected rows is beside this release.'))
  const { shown, tools } = narrow(rows, [{ label: 'Reason', name: 'kind', of: ({ reason }) => [reason] }], state)
  const list = new LongList('Rejected rows', shown, (width) => (width < 560 ? 250 : 176), drawRejectedRow)
  return page('Rejected rows', `${plural(shown.length, 'row')} of ${count(rows.length)}; none of them is in the release`, tools, shown.length ? list : empty('No row is like this.'))
}

function drawRejectedRow(row) {
  return h('article.rejected', {},
    h('h2', {}, h('span.tag.removed', {}, readable(row.reason)), ' ', words(row.name || row.file, 100)),
    h('p.dim', {}, words(`${row.table} · ${row.source}/${row.file}${row.row === null ? '' : ` row ${row.row}`}`, 160)),
    h('ul', {}, row.problems.slice(0, 3).map((problem) => h('li', {}, words(problem.message, 240), problem.value === null ? null : [' ', h('code', {}, words(problem.value, 80))], '; ', words(problem.fix, 160)))),
    row.raw ? h('pre', { tabindex: '0', dir: 'auto', role: 'region', 'aria-label': 'the row as it was read' }, row.raw) : null)
}
