// Elements. Texts of the release only ever become text nodes, so that markup in them is shown and not run.

/**
 * Make an element.
 * @param {string} tag name, with classes after dots: 'div.wall.big'
 * @param {Record<string, any>} properties attributes; `on…` are listeners, null and false are left out
 * @param {...any} children nodes and texts
 */
export function h(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split('.')
  return fill(document.createElement(name), classes, properties, children)
}

function fill(element, classes, properties, children) {
  if (classes.length) element.setAttribute('class', classes.join(' '))
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'style') for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

/** Make the text of somebody else's data: isolated, so that right-to-left marks in it change nothing around it. */
export function words(text, most = Infinity) {
  const whole = String(text)
  return h('bdi', {}, whole.length > most ? `${whole.slice(0, most)}…` : whole)
}

const numbers = new Intl.NumberFormat('en')

/** Write a number with thousands separators. */
export const count = (number) => numbers.format(number)

/** Write "1 picture", "2 pictures". */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`

/** Write a size in decimal units. */
export function size(numBytes) {
  const units = ['bytes', 'kB', 'MB', 'GB']
  let value = numBytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1 }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** Write a name such as hair_color for people. */
export const readable = (name) => String(name).replaceAll('_', ' ')

/**
 * Put other children into an element. The focus stays on what has the same `data-key`, else where it was in order.
 * @returns {boolean} whether the focus was in the element, and is lost
 */
export function replaceWithFocus(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null
  const before = focused ? keyed(element).indexOf(focused) : -1
  const { key } = focused?.dataset ?? {}
  const selected = focused?.tagName === 'INPUT' && focused.type === 'search' ? [focused.selectionStart, focused.selectionEnd] : null
  element.replaceChildren(...children)
  if (!focused) return false
  const after = keyed(element)
  const next = after.find((each) => each.dataset.key === key) ?? after[Math.min(before, after.length - 1)]
  if (before < 0 || !next) return true
  next.focus({ preventScroll: true })
  if (selected && next.type === 'search') next.setSelectionRange(...selected)
  return false
}

const keyed = (element) => [...element.querySelectorAll('[data-key]')]
