"use strict";
const find = document.getElementById("find");
const said = document.getElementById("found");
const claims = Array.from(document.querySelectorAll(".claim"));
const years = Array.from(document.querySelectorAll(".year"));
let texts;
let opened_before;
function look() {
  texts = texts || claims.map((claim) => claim.textContent.toLowerCase());
  const words = document.getElementById("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = document.getElementById("kind").value;
  const year = document.getElementById("year").value;
  const denied = document.getElementById("denied-only").value;
  let shown = 0;
  claims.forEach((claim, at) => {
    const fits = (!kind || claim.dataset.kind === kind) && (!year || claim.dataset.year === year) && (!denied || claim.dataset.denied) && words.every((word) => texts[at].includes(word));
    claim.hidden = !fits;
    shown += fits ? 1 : 0;
  });
  // What is not laid out is taken for as high as it was.
  for (const some of document.querySelectorAll(".some, .year")) some.hidden = !some.querySelector(".claim:not([hidden])");
  document.body.classList.toggle("filtered", shown <= 2000);
  // What is found is seen, in whatever year it is; afterwards each year is as it was.
  const asks = words.length > 0 || kind || year || denied;
  if (asks && !opened_before) opened_before = years.map((it) => it.open);
  years.forEach((it, at) => (it.open = asks ? !it.hidden : opened_before ? opened_before[at] : it.open));
  if (!asks) opened_before = undefined;
  said.textContent = `${shown.toLocaleString("en-US")} of ${claims.length.toLocaleString("en-US")} ${claims.length === 1 ? "claim" : "claims"}`;
}
// Where there are many claims, what is behind the click are four texts (claims.rs): a sentence, sums, facts and lines. What is made of
// them is set as text again.
function unpack(claim) {
  const packed = claim.querySelectorAll(":scope > pre");
  if (packed.length !== 4) return;
  const parts = Array.from(packed, (part) => part.textContent.split("\n").filter(Boolean).map((row) => row.split("\t")));
  const made = (name, into, text, isNumber, head, isDay) => {
    const element = into.appendChild(document.createElement(name));
    if (text !== undefined) element.textContent = text;
    if (head !== undefined) element.dataset.head = head;
    if (isNumber) element.className = "n";
    else if (isDay || (name === "td" && /^\S{1,10}$/.test(text))) element.className = "s";
    return element;
  };
  const whole = document.createDocumentFragment();
  made("p", whole, packed[0].textContent);
  parts.slice(1, 3).forEach((facts, at) => {
    if (facts.length === 0) return;
    const list = made("dl", whole);
    if (at === 0) list.className = "sums";
    for (const [name, text] of facts) {
      const fact = made("div", list);
      made("dt", fact, name);
      made("dd", fact, text);
    }
  });
  const lines = parts[3];
  if (lines.length > 0) {
    // The places of columns of numbers and days (claims.rs).
    const places = (name) => new Set(packed[3].dataset[name].split(" ").filter(Boolean).map(Number));
    const [numbers, days] = [places("numbers"), places("days")];
    const wide = made("div", whole);
    wide.className = "wide";
    wide.tabIndex = 0;
    wide.setAttribute("role", "group");
    wide.setAttribute("aria-label", "Services");
    const table = made("table", wide);
    made("caption", table, "Services");
    const head = made("tr", made("thead", table));
    lines[0].forEach((text, at) => made("th", head, text, numbers.has(at)).setAttribute("scope", "col"));
    const body = made("tbody", table);
    for (const line of lines.slice(1)) {
      const row = made("tr", body);
      line.forEach((text, at) => made("td", row, text, numbers.has(at), lines[0][at], days.has(at)));
    }
  }
  packed.forEach((part) => part.remove());
  claim.append(whole);
}
// It does not bubble.
addEventListener("toggle", (event) => event.target.open && unpack(event.target), true);
let waiting;
for (const what of ["input", "change"]) {
  find.addEventListener(what, () => {
    clearTimeout(waiting);
    waiting = setTimeout(look, 100);
  });
}
find.addEventListener("submit", (event) => event.preventDefault());
find.hidden = false;
// On paper the style shows what is closed; what is packed is laid out first.
addEventListener("beforeprint", () => {
  if (document.body.classList.contains("few")) claims.forEach(unpack);
});
