// Where htmx is not there (`make htmx` brings it) a live page is loaded anew, unless nobody looks
// or somebody types. Without scripts the browser does it where it is asked to (base.html).
"use strict";

const PERIOD = 10000; // milliseconds

setInterval(() => {
  const here = document.activeElement;
  const types = here !== null && here.matches("input, select, textarea");
  if (!document.hidden && !types) location.reload();
}, PERIOD);
