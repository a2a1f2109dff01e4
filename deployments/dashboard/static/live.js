// Keeps a page that looks again by itself usable: whoever reads, selects or types is not disturbed.
// Everything works without this file.
"use strict";

(() => {
  const main = () => document.getElementById("content");
  const all = (selector) => Array.from(main().querySelectorAll(selector));

  // What somebody typed or chose, and has not sent.
  const isChanged = (field) => {
    if (field.type === "hidden") return false;
    if (field.matches("select")) {
      const given = Array.from(field.options).findIndex((each) => each.defaultSelected);
      return field.selectedIndex !== Math.max(given, 0);
    }
    return field.value !== field.defaultValue || field.checked !== field.defaultChecked;
  };
  const isBusy = () => {
    const active = document.activeElement;
    const selection = window.getSelection();
    return (
      document.hidden ||
      (active !== null && main().contains(active) && active.matches("input, select, textarea")) ||
      all("input, select, textarea").some(isChanged) ||
      (selection !== null && !selection.isCollapsed)
    );
  };

  // A thing is known again by its part of the page, its kind, what it says, and its place.
  const SAME = "a, button, summary, details, [tabindex]";
  const wordsOf = (each) =>
    [
      each.closest("[id]")?.id,
      each.parentElement.closest("[aria-labelledby]")?.getAttribute("aria-labelledby"),
      each.tagName,
      each.getAttribute("href") ?? each.getAttribute("aria-label"),
    ].join(" ");
  const named = () => {
    const found = new Map();
    const seen = new Map();
    for (const each of all(SAME)) {
      const words = wordsOf(each);
      const place = seen.get(words) ?? 0;
      seen.set(words, place + 1);
      found.set(`${words} ${place}`, each);
    }
    return found;
  };

  let kept = null;
  const keep = () => {
    const things = named();
    const active = document.activeElement;
    kept = { things: new Map(), focused: null, isMain: active === main(), y: window.scrollY };
    for (const [key, each] of things) {
      kept.things.set(key, { open: each.open, left: each.scrollLeft, top: each.scrollTop });
      if (each === active) kept.focused = key;
    }
  };
  const restore = () => {
    if (kept === null) return;
    const things = named();
    for (const [key, was] of kept.things) {
      const now = things.get(key);
      if (now === undefined) continue;
      if (now.matches("details")) now.open = was.open;
      now.scrollLeft = was.left;
      now.scrollTop = was.top;
    }
    const same = kept.isMain ? main() : things.get(kept.focused);
    same?.focus({ preventScroll: true });
    window.scrollTo({ left: window.scrollX, top: kept.y, behavior: "instant" });
    kept = null;
  };

  const say = (isGone) => document.getElementById("gone")?.toggleAttribute("hidden", !isGone);
  // A proxy in front answers while the dashboard is away, also by pages of its own (sign in, not
  // found): what has no content of ours would leave nothing on the page that looks again.
  const isOurs = (xhr) =>
    ((xhr.status >= 200 && xhr.status < 300) || xhr.status === 404) &&
    new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("main#content") !==
      null;
  const look = () => main().dispatchEvent(new Event("look"));

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isBusy()) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    event.detail.shouldSwap = !isBusy() && isOurs(event.detail.xhr);
    if (event.detail.shouldSwap) keep();
  });
  document.addEventListener("htmx:afterSettle", restore);
  document.addEventListener("htmx:afterRequest", (event) => {
    const xhr = event.detail.xhr;
    say(!xhr || !isOurs(xhr));
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
})();
