// Conveniences only: without this file links and the form do the same, with a new page each time.
"use strict";

const holder = document.getElementById("profile");
const form = document.querySelector(".filters");
let asked = 0;
// Of the page as it was loaded: who goes back and forward at once may be elsewhere in the history by now.
const [loaded] = performance.getEntriesByType("navigation");
let query = loaded ? new URL(loaded.name).search : location.search;

// Puts the same part of another page in place of this one's.
async function show(address, push) {
  const number = ++asked;
  holder.classList.add("busy");
  try {
    const answer = await fetch(address);
    const text = await answer.text();
    if (number !== asked) return;
    const found = new DOMParser().parseFromString(text, "text/html");
    const part = found.getElementById("profile");
    if (!part) return void location.assign(address);
    const inside = holder.contains(document.activeElement);
    holder.replaceChildren(...part.childNodes);
    document.title = found.title;
    const hidden = form.querySelector("[name=at]");
    const at = new URL(address, location).searchParams.get("at");
    if (hidden) hidden.remove();
    if (at) form.insertAdjacentHTML("afterbegin", '<input type="hidden" name="at">');
    if (at) form.querySelector("[name=at]").value = at;
    if (push) history.pushState(null, "", address);
    query = location.search;
    walkable();
    if (inside) (frames().find((frame) => !frame.querySelector(".above")) || holder).focus();
  } catch {
    location.assign(address);
  } finally {
    if (number === asked) holder.classList.remove("busy");
  }
}

const frames = () => [...holder.querySelectorAll(".graph a")];
const details = () => holder.querySelector(".details");
const place = (frame) => {
  const box = frame.firstElementChild;
  const left = parseFloat(box.getAttribute("x") || "0");
  return { row: Number(frame.dataset.row), left, right: left + parseFloat(box.getAttribute("width")) };
};

// One call at a time can be reached by Tab; arrow keys walk between them.
function walkable() {
  frames().forEach((frame, index) => frame.setAttribute("tabindex", index ? "-1" : "0"));
}

function next(frame, key) {
  const here = place(frame);
  const row = here.row + ({ ArrowUp: -1, ArrowDown: 1 }[key] || 0);
  const others = frames().map((other) => ({ other, ...place(other) })).filter((item) => item.row === row);
  if (key === "ArrowUp") return others.find((item) => item.left <= here.left + 0.002 && item.right >= here.right - 0.002);
  if (key === "ArrowDown") {
    const below = others.filter((item) => item.left >= here.left - 0.002 && item.right <= here.right + 0.002);
    return below.sort((one, two) => two.right - two.left - (one.right - one.left))[0];
  }
  others.sort((one, two) => one.left - two.left);
  const index = others.findIndex((item) => item.other === frame);
  return others[index + (key === "ArrowRight" ? 1 : -1)];
}

function describe(event) {
  const frame = event.target.closest(".graph a");
  if (frame) details().textContent = frame.querySelector("title").textContent;
}

if (holder) {
  walkable();
  holder.addEventListener("pointerover", describe);
  holder.addEventListener("focusin", describe);
  holder.addEventListener("keydown", (event) => {
    const frame = event.target.closest(".graph a");
    if (!frame || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "Escape") {
      const above = holder.querySelectorAll(".graph a:has(.above)");
      if (!above.length) return;
      event.preventDefault();
      return void show(above[above.length - 1].getAttribute("href"), true);
    }
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const found = next(frame, event.key);
    if (!found) return;
    frame.setAttribute("tabindex", "-1");
    found.other.setAttribute("tabindex", "0");
    found.other.focus();
  });
  holder.addEventListener("click", (event) => {
    const link = event.target.closest(".graph a");
    if (!link || event.button || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link.getAttribute("href"), true);
  });
  // A link to a place in the page is no way back to another one.
  const follow = () => void (location.search !== query && location.reload());
  addEventListener("popstate", follow);
  follow();
  // The search follows what is typed; the address keeps it.
  let waiting = 0;
  form.querySelector("[name=q]").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const wanted = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
      const address = `${form.getAttribute("action")}?${wanted}`;
      history.replaceState(null, "", address);
      show(address, false);
    }, 200);
  });
}
