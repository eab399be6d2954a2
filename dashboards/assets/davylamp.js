/* Callbacks that stay in the browser, and what must hold for every chart on every page. */
(function () {
  "use strict";

  const none = () => window.dash_clientside.no_update;

  /* plotly.js offers "Share chart…" to a cloud by default; nothing may leave this machine. */
  function forbidSharing() {
    if (!window.Plotly || !window.Plotly.setPlotConfig) {
      return false;
    }
    window.Plotly.setPlotConfig({
      showSendToCloud: false,
      showEditInChartStudio: false,
      showLink: false,
      displaylogo: false,
      plotlyServerURL: "",
    });
    return true;
  }
  if (!forbidSharing()) {
    /* Plotly loads with the first chart. */
    let known;
    Object.defineProperty(window, "Plotly", {
      configurable: true,
      get: () => known,
      set: (value) => {
        known = value;
        forbidSharing();
      },
    });
  }

  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const resolved = (choice) =>
    choice === "dark" || choice === "light" ? choice : prefersDark.matches ? "dark" : "light";

  function paint(scheme) {
    document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
    document.documentElement.setAttribute("data-ag-theme-mode", scheme);
  }

  prefersDark.addEventListener("change", () => {
    let choice = "system";
    try {
      choice = JSON.parse(window.localStorage.getItem("scheme-choice")) || "system";
    } catch (error) {
      choice = "system";
    }
    const scheme = resolved(choice);
    paint(scheme);
    if (window.dash_clientside && window.dash_clientside.set_props) {
      window.dash_clientside.set_props("scheme", { data: scheme });
      window.dash_clientside.set_props("provider", { forceColorScheme: scheme });
    }
  });

  /* An open but hidden page asks nothing: its clocks stop until it is looked at again. */
  document.addEventListener("visibilitychange", () => {
    const clock = document.querySelector(".page[id]");
    if (clock && window.dash_clientside && window.dash_clientside.set_props) {
      const page = clock.id.replace(/-page$/, "");
      window.dash_clientside.set_props(`${page}-tick`, { disabled: document.hidden });
    }
  });

  /* A page whose server is gone would look alive for ever: it says so instead. */
  let heardMs = Date.now();
  let everyMs = 0;
  function watch() {
    const lost = document.getElementById("lost");
    if (!lost || !everyMs || document.hidden) {
      return;
    }
    const isLost = Date.now() - heardMs > Math.max(3 * everyMs, 6000);
    if (isLost && lost.hidden) {
      const time = new Date(heardMs).toISOString().slice(11, 19);
      lost.textContent =
        `The dashboards do not answer. Everything below is as of ${time} UTC. ` +
        "Start them with: davylamp run dashboards. This page goes on by itself.";
    }
    lost.hidden = !isLost;
  }
  window.setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => {
    heardMs = document.hidden ? heardMs : Date.now();
  });

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    davylamp: {
      scheme: function (control, _stamp, stored) {
        const context = window.dash_clientside.callback_context;
        const byHand = context.triggered.some((item) => item.prop_id === "scheme-control.value");
        const isFirst = context.triggered.length !== 1;
        const choice = byHand && !isFirst ? control : stored || "system";
        const scheme = resolved(choice);
        paint(scheme);
        return [
          choice === stored ? none() : choice,
          choice === control ? none() : choice,
          scheme,
          scheme,
        ];
      },
      heard: function (_shown, interval) {
        heardMs = Date.now();
        everyMs = interval;
        watch();
        return none();
      },
      nav: function (path) {
        const words = decodeURIComponent((path || "/").slice(1)).split("/").filter(Boolean);
        const about = words.length > 1 ? words[1].slice(0, 60) : words[0] || "fleet";
        document.title = `${about} · Davylamp`;
        const name = (isOn) => (isOn ? "nav-link is-current" : "nav-link");
        const canaries = /^\/canar/.test(path || "");
        return [name(!canaries), name(canaries)];
      },
      open_node: function (click) {
        const point = click && click.points && click.points[0];
        return point && point.customdata
          ? [`/service/${encodeURIComponent(point.customdata)}`]
          : [none()];
      },
    },
  });
})();
