// Two ways to analyze a picture: in the Python that served this page, or in this browser itself.
// analyze(canvas, live) promises {width, height, faces}, faces as utils.photos writes them. A photo,
// which is not live, is sent without loss, and is turned where no face is upright.

export async function prepare(network) {
  return network.backend === "server" ? askServer : inBrowser(network);
}

async function askServer(canvas, live) {
  const type = live ? "image/jpeg" : "image/png";
  const body = await new Promise((done) => canvas.toBlob(done, type, 0.92));
  if (!body) throw new Error("This browser could not encode the picture: it may be too large.");
  let answer, told;
  try {
    answer = await fetch(live ? "api/analyze?frame=1" : "api/analyze", {
      method: "POST", body, headers: { "Content-Type": type },
    });
    told = await answer.json();
  } catch {
    throw new Error("The program behind this page is not responding: is `python app.py` running?");
  }
  if (!answer.ok) throw new Error(told.error);
  return told;
}

// A worker computes, so that the page stays responsive.
async function inBrowser(network) {
  await offline();
  const worker = new Worker("worker.js", { type: "module" });
  const waiting = [];
  const answered = (settle, value) => waiting.shift()?.[settle](value);
  worker.onmessage = ({ data }) => (
    data.error ? answered("no", new Error(data.error)) : answered("yes", data)
  );
  worker.onerror = () => answered("no", new Error("This browser could not start the networks."));
  const ask = (message, moved = []) => new Promise((yes, no) => {
    waiting.push({ yes, no });
    worker.postMessage(message, moved);
  });
  const { runs } = await ask({ network });
  const analyze = (canvas, live) => {
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    return ask({ width, height, pixels, live }, [pixels.buffer]);
  };
  return Object.assign(analyze, { runs });
}

// From here on a service worker caches what is fetched. Without one, the page works only online.
async function offline() {
  if (!navigator.serviceWorker) return;
  try {
    const { installing } = await navigator.serviceWorker.register("sw.js");
    const failed = new Promise((done) => {
      installing?.addEventListener("statechange", () => installing.state === "redundant" && done());
    });
    await Promise.race([navigator.serviceWorker.ready, failed]); // ready waits forever if it fails
    if (navigator.serviceWorker.controller) return;
    await new Promise((taken) => {
      navigator.serviceWorker.addEventListener("controllerchange", taken, { once: true });
      setTimeout(taken, 5000); // after a reload that bypasses the cache, it never comes
    });
  } catch { /* a private window may refuse it */ }
}
