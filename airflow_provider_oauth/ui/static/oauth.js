"use strict";
// Airflow stores the chosen color mode under this name. Without a choice, the system's setting applies.
const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

// What the page looked like when an action was started in this tab. The progress page leaves it to the next page.
const VIEW = "oauth-connections";
const view = location.pathname.includes("/finish/") ? null : JSON.parse(sessionStorage.getItem(VIEW));
if (view) sessionStorage.removeItem(VIEW);
// Without scripts, the fragment shows the row with the result. With scripts, the scroll position is restored.
if (view) removeFragment();

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".flash[tabindex]")?.focus({ preventScroll: true });
  for (const form of document.querySelectorAll("form[method=post]")) form.addEventListener("submit", startAction);
  setUpFilter();
  setUpCopy();
});

addEventListener("load", () => {
  if (view) scrollTo(0, view.scroll);
  removeFragment();
  document.querySelector("tbody .flash[tabindex]")?.scrollIntoView({ block: "nearest" });
  // Now the page is visible.
  document.getElementById("finish")?.submit();
});

// When the user goes back from the vendor's page, the browser shows this page as it was left, with disabled buttons.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

function removeFragment() {
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
}

function startAction(event) {
  const filter = document.getElementById("filter-text")?.value ?? "";
  sessionStorage.setItem(VIEW, JSON.stringify({ scroll: scrollY, filter }));
  // These elements exist before: screen readers announce changes of their content.
  const progress = event.target.closest("tbody")?.querySelector(".notes .flash") ?? document.getElementById("progress");
  progress.className = "flash";
  progress.textContent = "Working … This can take half a minute.";
  // After the browser has collected the form.
  setTimeout(() => {
    for (const button of document.querySelectorAll("form[method=post] button")) button.disabled = true;
  });
}

function setUpFilter() {
  const input = document.getElementById("filter-text");
  if (!input) return;
  const rows = [...document.querySelectorAll("tbody")];
  const apply = () => {
    const text = input.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.dataset.filter.includes(text);
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("filtered").textContent = text ? `${shown} of ${rows.length} connections` : "";
  };
  document.getElementById("filter").hidden = false;
  input.value = view?.filter ?? "";
  input.addEventListener("input", apply);
  apply();
}

function setUpCopy() {
  const button = document.getElementById("copy");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById("redirect-uri");
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Over plain http, browsers offer no clipboard.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    document.getElementById("copied").textContent = "Copied.";
  });
}
