"use strict";
const find = document.getElementById("find");
const said = document.getElementById("found");
const claims = Array.from(document.querySelectorAll(".claim"));
const texts = claims.map((claim) => claim.textContent.toLowerCase());
function look() {
  const words = document.getElementById("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = document.getElementById("kind").value;
  const year = document.getElementById("year").value;
  let shown = 0;
  claims.forEach((claim, at) => {
    const fits = (!kind || claim.dataset.kind === kind) && (!year || claim.dataset.year === year) && words.every((word) => texts[at].includes(word));
    claim.hidden = !fits;
    shown += fits ? 1 : 0;
  });
  said.textContent = `${shown} of ${claims.length} claims`;
}
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
  if (opened.length <= 200) opened.forEach((claim) => (claim.open = true));
});
addEventListener("afterprint", () => opened.forEach((claim) => (claim.open = false)));
