// Conveniences only: every page works without this file.
"use strict";

// A link to a span (#span-<id>) opens its details.
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView({ block: "nearest" });
  }
}

addEventListener("hashchange", openTarget);
openTarget();

// Arrow keys walk from span to span; left and right close and open.
document.querySelector(".spans")?.addEventListener("keydown", (event) => {
  const summary = event.target.closest("summary");
  if (!summary || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const item = summary.closest("li");
  const next = { ArrowDown: item.nextElementSibling, ArrowUp: item.previousElementSibling }[event.key];
  if (next) next.querySelector("summary").focus();
  else if (event.key === "ArrowRight") summary.parentElement.open = true;
  else if (event.key === "ArrowLeft") summary.parentElement.open = false;
  else return;
  event.preventDefault();
});

// Choosing a service or ticking the box applies at once.
document.querySelector(".filters")?.addEventListener("change", (event) => {
  if (event.target.matches("select, [type=checkbox]")) event.currentTarget.requestSubmit();
});
