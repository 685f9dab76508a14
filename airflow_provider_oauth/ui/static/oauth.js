"use strict";
// Airflow keeps the choice of light or dark under this name; without one, the system's is taken.
const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".flash")?.focus();
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", () => {
      // Into an element that is there already: screen readers announce what changes in it.
      document.getElementById("working").textContent = "Working … this can take half a minute.";
      // After the browser has collected the form.
      setTimeout(() => {
        for (const button of document.querySelectorAll("form[method=post] button")) button.disabled = true;
      });
    });
  }
});

// Once the page can be seen.
addEventListener("load", () => document.getElementById("finish")?.submit());

// Back from the vendor's page, the browser shows this one as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
