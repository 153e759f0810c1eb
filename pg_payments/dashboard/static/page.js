// Times in the viewer's zone, and the focus after a swap. Everything works without this.
(function () {
  "use strict";
  var format;
  try {
    format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  } catch (e) {
    return;
  }
  function localize(root) {
    root.querySelectorAll("time[datetime]").forEach(function (each) {
      var at = new Date(each.getAttribute("datetime"));
      if (!isNaN(at)) each.textContent = format.format(at);
    });
  }
  localize(document);
  var here = document.querySelector(".rooms a[aria-current]");
  if (here) here.closest("ul").scrollLeft = here.offsetLeft - 40;  // where the pages are a row that scrolls
  document.addEventListener("htmx:afterSwap", function (event) {
    localize(document);
    if (event.detail.target && event.detail.target.id === "main") {
      var main = document.getElementById("main");
      if (main) main.focus({ preventScroll: true });
    }
  });
})();
