"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures");
  const hover = read("hover");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const narrow = matchMedia("(max-width: 600px)");

  // Okabe and Ito's palette; the dark shades are lighter for contrast.
  const shades = {
    blue: ["#0072b2", "#4aa8e0"], orange: ["#d88c00", "#f0ac2c"],
    green: ["#00805d", "#2fbf94"], purple: ["#b8568c", "#dc92ba"],
    sky: ["#56b4e9", "#9bd6f7"], pale: ["#8fcaf0", "#2c6a94"], vermillion: ["#d55e00", "#f07f36"],
    yellow: ["#b3a51e", "#f0e442"], grey: ["#8a939c", "#7d8792"],
    faint: ["#ccd2d8", "#3d4650"], unused: ["#d5d9de", "#6b747d"], muted: ["#5c6670", "#9ba6b1"],
    wash: ["rgba(0,114,178,.12)", "rgba(74,168,224,.16)"],
    ink: ["#1c2127", "#e6e9ec"], grid: ["#e6e9ed", "#2d353e"],
    card: ["#ffffff", "#191f25"],
  };
  const shade = (name) => shades[name][dark.matches ? 1 : 0];

  // Puts shades in place of names, under keys that hold colours.
  function colored(node, key) {
    if (typeof node === "string") {
      return /color/i.test(key) && node.startsWith("theme:")
        ? shade(node.slice(6)) : node;
    }
    if (node === null || typeof node !== "object") return node;
    if (Array.isArray(node)) {
      // Data, unless it is a list of objects.
      return typeof node[0] === "object" && node[0] !== null
        ? node.map((part) => colored(part, key)) : node;
    }
    return Object.fromEntries(Object.entries(node)
      .map(([name, part]) => [name, colored(part, name)]));
  }

  const webgl = (() => {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl"));
  })();

  function traces(data) {
    return data.map((trace) => {
      const made = colored(trace, "");
      if (trace.meta && trace.meta.trials) {
        made.text = trace.meta.trials.map((number) => hover[number]);
      }
      if (!webgl && made.type === "scattergl") made.type = "scatter";
      return made;
    });
  }

  const text = (axis) => Boolean(axis && axis.title && axis.title.text);

  function axis(own) {
    const made = Object.assign({
      gridcolor: shade("grid"), zerolinecolor: shade("grid"),
      linecolor: shade("grid"), automargin: true,
    }, own);
    made.title = Object.assign({ standoff: 8 }, made.title);
    if (made.type === "log") made.exponentformat = "power";
    // Pinching and dragging a plot would keep a phone's page from scrolling.
    if (touch) made.fixedrange = true;
    return made;
  }

  function layout(own) {
    const made = Object.assign({
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: shade("ink"), size: narrow.matches ? 11 : 12.5,
        family: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif' },
      margin: { l: 52, r: 12, t: own.showlegend === false ? 12 : 34,
        b: text(own.xaxis) ? 42 : 26 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom",
        traceorder: "normal",
        font: { color: shade("ink") } },
      hoverlabel: { bgcolor: shade("card"), bordercolor: shade("muted"),
        font: { color: shade("ink"), size: 12 }, align: "left" },
      hovermode: "closest",
    }, own);
    made.xaxis = axis(own.xaxis);
    made.yaxis = axis(own.yaxis);
    return made;
  }

  const config = { displaylogo: false, responsive: true,
    displayModeBar: false };

  // Where far worse networks lie outside the picture, a button shows them.
  function offerAll(place) {
    const button = document.createElement("button");
    button.textContent = "Show the far worse ones too";
    button.addEventListener("click", () => {
      Plotly.relayout(place, { "xaxis.autorange": true,
        "yaxis.autorange": true });
      button.remove();
    });
    place.after(button);
  }

  function isCut(figure, name) {
    const { range } = figure.layout[name + "axis"] || {};
    return Boolean(range) && figure.data.some((trace) =>
      (trace[name] || []).some((value) =>
        value !== null && (value < range[0] || value > range[1])));
  }

  const drawn = new Set();
  function draw(place) {
    const figure = figures[Number(place.dataset.index)];
    if (!drawn.has(place) && (isCut(figure, "x") || isCut(figure, "y"))) {
      offerAll(place);
    }
    drawn.add(place);
    return Plotly.react(
      place, traces(figure.data), layout(figure.layout), config);
  }

  // Plots are drawn when they come near the screen, so that the page opens
  // at once however many there are.
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        observer.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "500px" });
  const places = [...document.querySelectorAll(".plot")];
  places.forEach((place) => observer.observe(place));

  dark.addEventListener("change", () => drawn.forEach(draw));
  narrow.addEventListener("change", () => drawn.forEach(draw));
  addEventListener("beforeprint", () => places.forEach(draw));
})();
