// Law: the page is whole without this file; here are the keys, and what keeps it up to date.
// What changes never moves what is there: a new question comes below, one that is gone stays, dimmed.
"use strict";

const policy = window.trustedTypes
  ? trustedTypes.createPolicy("nucleus", { createHTML: (text) => text })
  : { createHTML: (text) => text };

function parsed(text) {
  const made = document.createElement("template");
  made.innerHTML = policy.createHTML(text); // rendered and escaped by the server
  return made.content;
}

function said(text) {
  document.getElementById("status").textContent = text;
}

function renewed(section, content) {
  // Whoever is typing, or has chosen something here, is not disturbed.
  const busy = section.contains(document.activeElement) && document.activeElement !== document.body;
  if (!busy && section.id !== "approvals") {
    section.replaceChildren(content);
    return;
  }
  const before = new Map();
  for (const each of section.querySelectorAll("article[data-item]")) before.set(each.dataset.item, each);
  const now = new Set();
  for (const each of content.querySelectorAll("article[data-item]")) {
    now.add(each.dataset.item);
    const there = before.get(each.dataset.item);
    if (!there) {
      section.querySelector(".none")?.before(each);
    } else if (!there.contains(document.activeElement)) {
      there.replaceWith(each);
    }
  }
  for (const [id, each] of before) {
    if (now.has(id)) continue;
    if (each.contains(document.activeElement)) {
      each.classList.add("gone");
      for (const button of each.querySelectorAll("button")) button.disabled = true;
    } else {
      each.remove();
    }
  }
}

async function renew() {
  const answer = await fetch("/parts", { credentials: "same-origin" });
  if (!answer.ok) {
    said("You are no longer in: come by a new link.");
    return;
  }
  const parts = await answer.json();
  for (const section of document.querySelectorAll("[data-part]")) {
    const content = parsed(parts[section.dataset.part]);
    const count = document.querySelector(`nav a[href="#${section.id}"] .count`);
    if (section.id === "approvals") count.textContent = content.querySelectorAll("article").length;
    renewed(section, content);
  }
  const waiting = document.querySelectorAll("#approvals article:not(.gone)").length;
  document.title = waiting ? `(${waiting}) Nucleus` : "Nucleus";
}

const events = new EventSource("/events");
events.onmessage = () => renew().catch(() => said("The console does not answer."));
events.onerror = () => said("Not up to date: the console does not answer.");
events.onopen = () => said("");

// Keys. Nothing is chosen when the page begins, so no key answers what was not looked at.
function items() {
  return [...document.querySelectorAll("[data-item]")];
}

function move(step) {
  const all = items();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement.closest("[data-item]"));
  all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)].focus();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "Escape") {
    document.activeElement.blur();
    return;
  }
  if (typing) {
    if (event.key === "Enter" && event.target.name === "reason") {
      event.preventDefault();
      event.target.form.querySelector("button[value=deny]").click();
    } else if (event.key === "Enter") {
      event.preventDefault(); // a number that was typed is no answer
    }
    return;
  }
  if (event.key === "j" || event.key === "ArrowDown") move(1);
  else if (event.key === "k" || event.key === "ArrowUp") move(-1);
  else {
    const chosen = document.activeElement.closest("[data-item]");
    const key = CSS.escape(event.key);
    const button = chosen?.querySelector(`button[data-key="${key}"]:not(:disabled)`);
    if (!button) return;
    // An offer or a stop is taken when it is read: the first press shows it.
    const folded = button.closest("details:not([open])");
    if (folded) {
      folded.open = true;
      folded.scrollIntoView({ block: "nearest" });
      event.preventDefault();
      return;
    }
    const reason = event.key === "d" ? chosen.querySelector("input[name=reason]") : null;
    if (reason) reason.focus();
    else button.click();
  }
  event.preventDefault();
});
