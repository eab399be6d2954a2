/* Runs in the document's head: the colour scheme is known before anything is painted. */
(function () {
  let choice = "system";
  try {
    choice = JSON.parse(window.localStorage.getItem("scheme-choice")) || "system";
  } catch (error) {
    choice = "system"; /* storage may be forbidden; the machine's scheme is a fine default */
  }
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const scheme = choice === "system" ? (dark ? "dark" : "light") : choice;
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
  document.documentElement.setAttribute("data-ag-theme-mode", scheme);
})();
