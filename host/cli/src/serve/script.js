// Shows the progress of runs. Everything else works without it.
"use strict";
const live = document.getElementById("live");
if (live) {
  const events = new EventSource("/running/events");
  events.addEventListener("message", (event) => {
    const values = JSON.parse(event.data);
    if (values.shape !== live.dataset.shape) {
      events.close();
      location.reload();
      return;
    }
    for (const [id, text] of values.texts) {
      const element = document.getElementById(id);
      if (element) element.textContent = text;
    }
    for (const [id, value, max] of values.bars) {
      const element = document.getElementById(id);
      if (element) {
        element.max = max;
        element.value = value;
      }
    }
    for (const [id, points] of values.curves) {
      document.getElementById(id)?.setAttribute("points", points);
    }
  });
}
