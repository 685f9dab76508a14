"use strict";
// Airflow stores the chosen color mode under this name. Without a choice, the system's setting applies.
const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

// The scroll position and the filter when an action was started in this tab. The progress page does not restore them;
// the page after it does.
const VIEW = "oauth-connections";
const view = location.pathname.includes("/finish/") ? null : JSON.parse(sessionStorage.getItem(VIEW));
if (view) sessionStorage.removeItem(VIEW);
// If scripts are off, the fragment in the URL scrolls to the row with the result. This script restores the scroll
// position instead.
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
  // Submit the form of the progress page only when that page is visible.
  document.getElementById("finish")?.submit();
});

// When the user goes back from the vendor's page, the browser may show this page as it was, with disabled buttons.
// Therefore reload it.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

function removeFragment() {
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
}

function startAction(event) {
  const filter = document.getElementById("filter-text")?.value ?? "";
  sessionStorage.setItem(VIEW, JSON.stringify({ scroll: scrollY, filter }));
  // The element is not created here, because screen readers announce only changes of existing elements.
  const progress = event.target.closest("tbody")?.querySelector(".notes .flash") ?? document.getElementById("progress");
  progress.className = "flash";
  progress.textContent = "Working … This usually takes a few seconds.";
  // Disable the buttons only after the browser has collected the data of the form.
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
    for (const row of rows) {
      // A row with the result of an action stays visible, although the action can have changed its state.
      row.hidden = !row.dataset.filter.includes(text) && !row.querySelector(".flash[tabindex]");
    }
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
      // Browsers provide no clipboard API over plain http.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    document.getElementById("copied").textContent = "Copied.";
  });
}
