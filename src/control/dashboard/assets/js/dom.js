// Elements. Texts become text and never markup, so that nothing that clients sent can be more than that.

/** An element with attributes, listeners (`onclick`: a function) and children: elements, texts, or nothing. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else set(element, key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Sets an attribute, or takes it away. What is as it should be stays untouched: who listens to the page is not told twice. */
export function set(element, name, value) {
  if (value == null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? '' : value);
}

/** Makes this its only text. */
export function text(element, value) {
  if (element.textContent !== String(value)) element.textContent = value;
}

/** The element of this id, which is in the page. */
export const at = (id) => document.getElementById(id);

/**
 * Has `parent` hold one element for each item, in their order. Elements stay what they are as long as their key is there, so that
 * focus and selection stay, too. `make(item)` gives `[element, update]`.
 */
export function keyed(parent, items, keyOf, make) {
  const known = (parent.keyed ??= new Map());
  const wanted = new Set();
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (wanted.has(key)) continue;
    wanted.add(key);
    if (!known.has(key)) known.set(key, make(item));
    const [element, update] = known.get(key);
    update?.(item);
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  for (const [key, [element]] of known) {
    if (!wanted.has(key)) {
      element.remove();
      known.delete(key);
    }
  }
}
