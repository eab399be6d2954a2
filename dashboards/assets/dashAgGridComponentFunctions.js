/* Cells of the grids. They build elements, never markup, so names from telemetry stay text. */
(function () {
  "use strict";
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const create = (...all) => window.React.createElement(...all);

  /* Changes the page without reloading it, and keeps middle click and "open in new tab". */
  function link(href, children, className) {
    const follow = (event) => {
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) {
        return;
      }
      event.preventDefault();
      const target = new URL(href, window.location.href);
      window.history.pushState({}, "", target.pathname + target.search);
      window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
      if (!href.startsWith("?")) {
        window.scrollTo(0, 0);
      }
    };
    return create("a", { href, onClick: follow, className: className || "link" }, children);
  }

  cells.PageLink = (props) => link(props.data.href, props.value);

  cells.StatusWord = (props) =>
    create(
      "span",
      { className: `badge status-${props.data.status_name}` },
      create("span", { className: "shape", "aria-hidden": "true" }, props.data.shape),
      props.value
    );

  cells.SpanName = (props) => {
    const row = props.data;
    const marks = [];
    if (row.is_error) {
      marks.push(create("span", { key: "e", className: "span-mark status-bad" }, "■ error "));
    } else if (row.has_failed_below) {
      marks.push(create("span", { key: "b", className: "span-mark status-bad" }, "□ "));
    }
    return create(
      "span",
      {
        className: row.is_chosen ? "span-name is-chosen" : "span-name",
        style: { paddingLeft: `${row.depth * 14}px` },
        title: `${row.service} ${row.operation}`,
      },
      create("span", { className: "span-dot", style: { background: row.colour } }),
      ...marks,
      link(row.href, [
        create("b", { key: "s" }, row.service),
        create("span", { key: "o" }, ` ${row.operation}`),
      ])
    );
  };

  cells.SpanBar = (props) => {
    const row = props.data;
    return create(
      "div",
      { className: "span-track", title: `${row.offset_text}, takes ${row.duration_text}` },
      create("div", {
        className: row.is_error ? "span-bar is-error" : "span-bar",
        style: {
          left: `${100 * row.start}%`,
          width: `max(2px, ${100 * row.width}%)`,
          background: row.colour,
        },
      })
    );
  };
})();
