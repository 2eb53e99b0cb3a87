"use strict";
const find = document.getElementById("find");
const said = document.getElementById("found");
const claims = Array.from(document.querySelectorAll(".claim"));
let texts;
function look() {
  texts = texts || claims.map((claim) => claim.textContent.toLowerCase());
  const words = document.getElementById("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = document.getElementById("kind").value;
  const year = document.getElementById("year").value;
  let shown = 0;
  claims.forEach((claim, at) => {
    const fits = (!kind || claim.dataset.kind === kind) && (!year || claim.dataset.year === year) && words.every((word) => texts[at].includes(word));
    claim.hidden = !fits;
    shown += fits ? 1 : 0;
  });
  // What is not laid out is taken for as high as it was.
  for (const some of document.querySelectorAll(".some")) some.hidden = !some.querySelector(".claim:not([hidden])");
  document.body.classList.toggle("filtered", shown <= 2000);
  said.textContent = `${shown} of ${claims.length} ${claims.length === 1 ? "claim" : "claims"}`;
}
// Where there are many claims, what is behind the click are three texts (claims.rs): sums, facts and lines. What is made of
// them is set as text again.
function unpack(claim) {
  const packed = claim.querySelectorAll(":scope > pre");
  if (packed.length !== 3) return;
  const parts = Array.from(packed, (part) => part.textContent.split("\n").filter(Boolean).map((row) => row.split("\t")));
  const made = (name, into, text, isNumber, head) => {
    const element = into.appendChild(document.createElement(name));
    if (text !== undefined) element.textContent = text;
    if (head !== undefined) element.dataset.head = head;
    if (isNumber) element.className = "n";
    else if (name === "td" && /^\S{1,10}$/.test(text)) element.className = "s";
    return element;
  };
  const whole = document.createDocumentFragment();
  parts.slice(0, 2).forEach((facts, at) => {
    const list = made("dl", whole);
    if (at === 0) list.className = "sums";
    for (const [name, text] of facts) {
      const fact = made("div", list);
      made("dt", fact, name);
      made("dd", fact, text);
    }
  });
  const lines = parts[2];
  if (lines.length > 0) {
    const numbers = new Set([0, 4, 5, 6, 7]);
    const wide = made("div", whole);
    wide.className = "wide";
    wide.tabIndex = 0;
    wide.setAttribute("role", "group");
    wide.setAttribute("aria-label", "Lines");
    const table = made("table", wide);
    made("caption", table, "Lines");
    const head = made("tr", made("thead", table));
    lines[0].forEach((text, at) => made("th", head, text, numbers.has(at)).setAttribute("scope", "col"));
    const body = made("tbody", table);
    for (const line of lines.slice(1)) {
      const row = made("tr", body);
      line.forEach((text, at) => made("td", row, text, numbers.has(at), lines[0][at]));
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
let opened = [];
addEventListener("beforeprint", () => {
  opened = claims.filter((claim) => !claim.hidden && !claim.open);
  if (opened.length <= 200) {
    opened.forEach((claim) => {
      unpack(claim);
      claim.open = true;
    });
  }
});
addEventListener("afterprint", () => opened.forEach((claim) => (claim.open = false)));
