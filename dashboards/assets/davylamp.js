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
    const clock = document.querySelector("main.page");
    if (clock && window.dash_clientside && window.dash_clientside.set_props) {
      const page = clock.id.replace(/-page$/, "");
      window.dash_clientside.set_props(`${page}-tick`, { disabled: document.hidden });
    }
  });

  const address = (name, fallback) => (value, search) => {
    const context = window.dash_clientside.callback_context;
    const triggers = context.triggered.map((item) => item.prop_id);
    const params = new URLSearchParams(search || "");
    if (triggers.some((id) => id === "url.search")) {
      const wanted = params.get(name) || fallback(value);
      return [none(), wanted === value ? none() : wanted];
    }
    if (value === undefined || value === null || value === (params.get(name) || "")) {
      return [none(), none()];
    }
    params.set(name, value);
    return [`?${params.toString()}`, none()];
  };

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
      address_range: address("range", (value) => value),
      address_by: address("by", () => "none"),
      nav: function (path) {
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
