// Finds faces and their expressions in the browser: Python's two networks, on onnxruntime-web.
import { crop, decode, fromRGBA, placed, planes, shownAt, toGray, turned } from "./faces.js";

let ort, detector, classifier, network;

// WebGPU where there is a real one, otherwise WASM on one thread: GitHub Pages sends no isolation headers.
async function start(described) {
  network = described;
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const gpu = Boolean(adapter) && !adapter.info?.isFallbackAdapter;
  for (const runs of gpu ? ["webgpu", "wasm"] : ["wasm"]) {
    try {
      ort = await import(`./ort/ort.${runs}.min.mjs`);
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmPaths = new URL("ort/", import.meta.url).href;
      ort.env.logLevel = "error";
      const open = (file) => ort.InferenceSession.create(file, { executionProviders: [runs] });
      detector = await open(network.detector.file);
      classifier = await open(network.file);
      return { runs };
    } catch (error) {
      if (runs === "wasm") throw error;
    }
  }
}

async function run(session, data, dims) {
  const [name] = session.inputNames;
  return session.run({ [name]: new ort.Tensor("float32", data, dims) });
}

async function find(photo, live) {
  const { detector: how } = network, shown = shownAt(photo, how.side);
  for (let turns = 0; turns < (live ? 1 : 4); turns++) {
    const picture = turned(shown, turns), { width, height, floats } = planes(picture);
    const maps = await run(detector, floats, [1, 3, height, width]);
    const boxes = decode(detector.outputNames.map((name) => maps[name]), how);
    const found = placed(boxes, picture, turns, photo);
    if (found.length) return found;
  }
  return [];
}

async function analyze({ width, height, pixels, live }) {
  const photo = fromRGBA(width, height, pixels), found = await find(photo, live);
  if (!found.length) return { width, height, faces: [] };
  const { size, channels, expressions, margin } = network, one = size * size * channels;
  const faces = new Float32Array(found.length * one);
  found.forEach(({ box, turns }, at) => {
    const face = turned(crop(photo, box, size, margin), turns);
    faces.set((channels === 1 ? toGray(face) : face).data, at * one);
  });
  const answers = await run(classifier, faces, [found.length, size, size, channels]);
  const shares = answers[classifier.outputNames[0]].data;
  return {
    width, height,
    faces: found.map(({ box, confidence }, at) => {
      const own = expressions.map((name, k) => [name, shares[at * expressions.length + k]]);
      const [expression, probability] = own.reduce((best, next) => (next[1] > best[1] ? next : best));
      return {
        box, detector_confidence: confidence, expression, probability,
        probabilities: Object.fromEntries(own),
      };
    }),
  };
}

// One at a time: an onnxruntime-web session accepts no second run while one is in progress.
let before = Promise.resolve();
onmessage = ({ data }) => {
  before = before
    .then(() => ("network" in data ? start(data.network) : analyze(data)))
    .then(postMessage, (error) => postMessage({ error: `This browser could not analyze it: ${error.message}` }));
};
