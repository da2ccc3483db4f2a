// The page: a photo, a video, or the camera in; boxes, bars, and the last minute out.
import { prepare } from "./analyze.js";

const $ = (id) => document.getElementById(id);
const LARGEST_FILE_PIXELS = 50_000_000; // utils.faces.MAX_PIXELS
const PHOTO_SIDE = 4096; // the largest square canvas that iOS draws
const FRAME_SIDE = 1280;
const MINUTE = 60;

let network, analyzing; // what network.json says; the promise of an `analyze`
let source = null; // the video or camera that is playing; null for none or a photo
let turn = 0; // counts choices: a result for an earlier choice is dropped

// ------------------------------------------------------------------ messages

const percent = (share) => `${Math.round(share * 100)}%`;
const problem = (sentence) => { $("problem").textContent = sentence; };
const summary = (sentence) => { $("summary").textContent = sentence; };

let spokenAt = -Infinity, spokenLast = "";
function speak(sentence, pause = 0) {
  if (sentence === spokenLast || performance.now() - spokenAt < pause) return;
  [spokenAt, spokenLast] = [performance.now(), sentence];
  $("spoken").textContent = sentence;
}

function described(faces) {
  if (!faces.length) return "No face found.";
  const named = faces.slice(0, 5).map((face) => `${face.expression} ${percent(face.probability)}`);
  const more = faces.length > 5 ? `, and ${faces.length - 5} more` : "";
  return `${faces.length === 1 ? "1 face" : `${faces.length} faces`}: ${named.join(", ")}${more}.`;
}

const CAMERA_STATES = {
  prompt: "It starts when you click; your browser will ask you first.",
  granted: "It starts when you click: you have allowed this page to use it.",
  denied: "Your browser blocks the camera for this page: allow it next to the address, then click.",
};
const CAMERA_ERRORS = {
  NotAllowedError: "The camera was not allowed: allow it for this page next to the address, then try again.",
  NotFoundError: "No camera was found: plug one in, or choose a photo or a video.",
  NotReadableError: "The camera is in use by another program, or not responding: close that program, then try again.",
  OverconstrainedError: "This camera cannot provide the requested picture: choose another one.",
  AbortError: "The camera stopped while it was starting: try again.",
  SecurityError: "Your browser's settings forbid the camera on this page.",
};
const INSECURE = "The camera needs https, or a page at this machine's own address (127.0.0.1).";
const CAMERA_LEFT = "The camera stopped: it was unplugged, taken over by another program, or its permission was revoked.";

// ------------------------------------------------------------------ drawing

const colorOf = (name) => network.colors[name];

// Black or white, whichever stands out against a color.
function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const level = parseInt(color.slice(at, at + 2), 16) / 255;
    return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

function drawPicture(frame, faces, mirrored) {
  const canvas = $("picture"), { width, height } = frame;
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d"), unit = Math.max(width, height) / 320;
  pen.save();
  if (mirrored) pen.setTransform(-1, 0, 0, 1, width, 0);
  pen.drawImage(frame, 0, 0);
  pen.restore();
  const size = Math.max(12, 10 * unit);
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textBaseline = "top";
  faces.forEach(({ box, expression, probability }, at) => {
    const color = colorOf(expression), left = mirrored ? width - box.right : box.left;
    for (const [style, line] of [[inkOn(color), 3], [color, 1.5]]) { // an outline that shows on any photo
      [pen.strokeStyle, pen.lineWidth] = [style, Math.max(line, line * unit)];
      pen.strokeRect(left, box.top, box.right - box.left, box.bottom - box.top);
    }
    const caption = `${at + 1} ${expression} ${percent(probability)}`;
    const wide = pen.measureText(caption).width + size * 0.6, high = size * 1.4;
    const x = Math.max(0, Math.min(left, width - wide));
    const y = box.top >= high ? box.top - high : Math.min(box.bottom, height - high);
    pen.fillStyle = color;
    pen.fillRect(x, y, wide, high);
    pen.fillStyle = inkOn(color);
    pen.fillText(caption, x + size * 0.3, y + size * 0.25);
  });
  canvas.setAttribute("aria-label", `The picture. ${described(faces)}`);
}

function barsOfFace() {
  const item = document.createElement("li"), table = document.createElement("table");
  table.createCaption();
  for (const name of network.expressions) {
    const row = table.insertRow(), head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    const track = row.insertCell().appendChild(document.createElement("div"));
    track.className = "track";
    const bar = track.appendChild(document.createElement("div"));
    bar.className = "bar";
    bar.style.background = colorOf(name);
    row.insertCell();
  }
  item.append(table);
  return item;
}

function drawBars(faces) {
  const list = $("faces");
  while (list.children.length > faces.length) list.lastChild.remove();
  while (list.children.length < faces.length) list.append(barsOfFace());
  faces.forEach((face, at) => {
    const table = list.children[at].firstChild;
    table.caption.textContent = `Face ${at + 1}: ${face.expression} ${percent(face.probability)}`;
    network.expressions.forEach((name, row) => {
      const share = face.probabilities[name], cells = table.rows[row].cells;
      cells[1].firstChild.firstChild.style.width = `${100 * share}%`;
      cells[2].textContent = percent(share);
    });
  });
}

let minute = []; // {time, shares}: the largest face's, null where there was none
function drawMinute(time, faces) {
  const area = ({ box }) => (box.right - box.left) * (box.bottom - box.top);
  const largest = faces.reduce((a, b) => (a && area(a) >= area(b) ? a : b), null);
  if (minute.length && time < minute.at(-1).time) minute = []; // a video was rewound
  minute.push({ time, shares: largest?.probabilities ?? null });
  while (minute[0].time < time - MINUTE) minute.shift();
  const canvas = $("strip"), pen = canvas.getContext("2d"), { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  minute.forEach((moment, at) => {
    if (!moment.shares) return;
    const place = (when) => width * (1 - (time - when) / MINUTE);
    // A moment lasts until the next, but not through a pause.
    const end = Math.min(minute[at + 1]?.time ?? time, moment.time + 4);
    const left = Math.floor(place(moment.time)), wide = Math.max(1, Math.ceil(place(end)) - left);
    let top = 0;
    for (const name of network.expressions) {
      const high = moment.shares[name] * height;
      pen.fillStyle = colorOf(name);
      pen.fillRect(left, top, wide, high);
      top += high;
    }
  });
}

function show(frame, faces, mirrored = false) {
  drawPicture(frame, faces, mirrored);
  drawBars(faces);
  summary(described(faces));
}

// ------------------------------------------------------------------ photos

function fitted(width, height, side) {
  const factor = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
}

// A picture on a canvas: upright as EXIF says, its pixel values unchanged, on white.
async function drawn(file) {
  const address = URL.createObjectURL(file), name = file.name || "the picture";
  try {
    const image = new Image();
    image.src = address;
    await new Promise((yes, no) => { [image.onload, image.onerror] = [yes, no]; }).catch(() => {
      throw new Error(`${name} is not a picture that this browser can read: expected JPEG, PNG, WebP, GIF, BMP or AVIF.`);
    });
    const pixels = image.naturalWidth * image.naturalHeight; // from the header, before decoding
    if (!pixels || pixels > LARGEST_FILE_PIXELS) {
      const size = `${image.naturalWidth} × ${image.naturalHeight} pixels`;
      throw new Error(`${name} has ${size}: expected at most 50 million.`);
    }
    const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
    const bitmap = await createImageBitmap(file, options).catch(() => image);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = fitted(image.naturalWidth, image.naturalHeight, PHOTO_SIDE);
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close?.();
    return canvas;
  } finally {
    URL.revokeObjectURL(address);
  }
}

async function usePhoto(file) {
  const mine = begin("Looking for faces …");
  try {
    const canvas = await drawn(file);
    const { faces } = await (await analyzing)(canvas, false);
    if (mine !== turn) return;
    open("photo");
    show(canvas, faces);
    speak(described(faces));
  } catch (error) {
    if (mine === turn) fail(error.message);
  }
}

// ------------------------------------------------------------------ videos and the camera

function begin(sentence) {
  release();
  problem("");
  drawBars([]);
  summary(sentence);
  spokenLast = "";
  return ++turn;
}

function fail(sentence) {
  release();
  problem(sentence);
  summary("Nothing to look at yet.");
}

function open(kind, cameras = []) {
  $("stage").hidden = false;
  $("controls").hidden = kind === "photo";
  $("minute").hidden = kind === "photo";
  $("seek-label").hidden = kind !== "video";
  $("cameras-label").hidden = cameras.length < 2;
  $("rate").textContent = "";
  $("stage").scrollIntoView({ block: "nearest" });
}

// Stop, and release the camera or the video's memory.
function release() {
  if (!source) return;
  const { video, address, stream } = source;
  source = null;
  stream?.getTracks().forEach((track) => track.stop());
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  video.load();
  if (address) URL.revokeObjectURL(address);
  $("controls").hidden = true;
  $("rate").textContent = "";
}

function newVideo(properties) {
  const video = document.createElement("video");
  return Object.assign(video, { muted: true, playsInline: true }, properties);
}

// Shows frame after frame, each with its own result, until another choice or Stop.
async function follow(mine) {
  const frame = document.createElement("canvas"), { video, kind } = mine;
  const pen = frame.getContext("2d", { willReadFrequently: true });
  const analyze = await analyzing;
  let before = null, rate = 0, seen = null, wake = null;
  video.addEventListener("seeked", () => wake?.()); // a paused video was moved
  const newFrame = () => new Promise((done) => {
    wake = done;
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(done);
    else requestAnimationFrame(done);
  });
  while (mine === source) {
    const unseen = video.paused && !video.seeking && video.currentTime !== seen;
    if (!unseen) await newFrame();
    if (mine !== source) return;
    if (document.hidden || !video.videoWidth || video.seeking || video.currentTime === seen) {
      if (unseen) await newFrame();
      continue;
    }
    seen = video.currentTime;
    [frame.width, frame.height] = fitted(video.videoWidth, video.videoHeight, FRAME_SIDE);
    const time = kind === "video" ? seen : performance.now() / 1000;
    pen.drawImage(video, 0, 0, frame.width, frame.height);
    const { faces } = await analyze(frame, true);
    if (mine !== source) return;
    show(frame, faces, mine.mirrored);
    drawMinute(time, faces);
    speak(described(faces), 4000);
    const now = performance.now();
    if (before) rate = 0.8 * (rate || 1000 / (now - before)) + 0.2 * (1000 / (now - before));
    before = now;
    if (rate) $("rate").textContent = `${rate.toFixed(1)} frames per second`;
    if (kind === "video") $("seek").value = video.currentTime;
    await new Promise((done) => setTimeout(done)); // let clicks through
  }
}

function start(next) {
  source = next;
  minute = [];
  paused(false);
  follow(next).catch((error) => { if (next === source) fail(error.message); });
}

function paused(yes) {
  if (!source) return;
  source.held = yes;
  $("pause").textContent = yes ? "Resume" : "Pause";
  if (yes) source.video.pause();
  else source.video.play().catch(() => {});
}

async function useVideo(file) {
  const mine = begin("Opening the video …"), address = URL.createObjectURL(file);
  const video = newVideo({ src: address, preload: "auto" });
  const name = file.name || "the video";
  try {
    await new Promise((yes, no) => { [video.onloadeddata, video.onerror] = [yes, no]; }).catch(() => {
      throw new Error(`${name} is not a video that this browser can play: expected MP4 or WebM.`);
    });
    if (!video.videoWidth) throw new Error(`${name} has no picture: expected a video, found only sound.`);
    await analyzing;
    if (mine !== turn) throw new Error("another was chosen");
  } catch (error) {
    URL.revokeObjectURL(address);
    if (mine === turn) fail(error.message);
    return;
  }
  open("video");
  const length = () => { $("seek").max = Number.isFinite(video.duration) ? video.duration : 0; };
  length();
  video.ondurationchange = length;
  video.onended = () => { if (source?.video === video) paused(true); };
  video.onerror = () => {
    if (source?.video !== video) return;
    release();
    problem(`${name} breaks off after ${video.currentTime.toFixed(1)} seconds: this is the last frame that could be read.`);
  };
  start({ kind: "video", video, address, mirrored: false });
}

async function useCamera(deviceId) {
  const mine = begin("Waiting for the camera …");
  if (!window.isSecureContext || !navigator.mediaDevices) return fail(INSECURE);
  let stream;
  try {
    const size = { width: { ideal: FRAME_SIDE }, height: { ideal: 720 } };
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
    stream = await navigator.mediaDevices.getUserMedia({ video: { ...which, ...size }, audio: false });
    await analyzing;
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    if (mine === turn) {
      fail(CAMERA_ERRORS[error.name] ?? `The camera could not be used: ${error.message}`);
    }
    return;
  }
  if (mine !== turn) return stream.getTracks().forEach((track) => track.stop());
  const [track] = stream.getVideoTracks(), settings = track.getSettings();
  track.onended = () => { if (source?.stream === stream) fail(CAMERA_LEFT); };
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter(({ kind }) => kind === "videoinput");
  $("cameras").replaceChildren(...cameras.map(({ deviceId: id, label }, at) => (
    new Option(label || `Camera ${at + 1}`, id, false, id === settings.deviceId)
  )));
  if (mine !== turn) return stream.getTracks().forEach((one) => one.stop());
  open("camera", cameras);
  // People expect to see themselves as in a mirror; a phone's back camera is not mirrored.
  const mirrored = settings.facingMode !== "environment";
  start({ kind: "camera", video: newVideo({ srcObject: stream }), stream, mirrored });
}

document.addEventListener("visibilitychange", () => {
  if (!source) return;
  if (document.hidden) {
    source.asleep = !source.held;
    paused(true);
  } else if (source.asleep) {
    paused(false);
  }
});

// ------------------------------------------------------------------ controls

function useFile(file) {
  if (!file) return;
  if (file.type.startsWith("video/")) useVideo(file);
  else usePhoto(file);
}

function connect() {
  for (const [id, use] of [["photo", usePhoto], ["video", useVideo]]) {
    $(id).addEventListener("change", ({ target }) => {
      if (target.files[0]) use(target.files[0]);
      target.value = ""; // so that the same file can be chosen again
    });
  }
  $("camera").addEventListener("click", () => useCamera());
  $("cameras").addEventListener("change", ({ target }) => useCamera(target.value));
  $("stop").addEventListener("click", () => {
    release();
    turn++;
    summary("Stopped.");
    speak("Stopped.");
    $("camera").focus();
  });
  $("pause").addEventListener("click", () => {
    if (source?.held && source.video.ended) source.video.currentTime = 0;
    paused(!source?.held);
  });
  $("seek").addEventListener("input", ({ target }) => {
    if (source?.kind === "video") source.video.currentTime = Number(target.value);
  });
  const over = (yes) => (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", yes);
  };
  addEventListener("dragover", over(true));
  addEventListener("dragleave", over(false));
  addEventListener("drop", (event) => {
    over(false)(event);
    useFile(event.dataTransfer.files[0]);
  });
  addEventListener("pagehide", release);
}

async function cameraState() {
  const say = (sentence) => { $("camera-state").textContent = sentence; };
  if (!window.isSecureContext || !navigator.mediaDevices) return say(INSECURE);
  say(CAMERA_STATES.prompt);
  try {
    const permission = await navigator.permissions.query({ name: "camera" });
    const tell = () => say(CAMERA_STATES[permission.state]);
    permission.onchange = tell;
    tell();
  } catch { /* this browser tells only when the camera is requested */ }
}

function tellAbout() {
  const { name, data, test_accuracy: accuracy, test_faces: faces } = network;
  $("quality").innerHTML = "<strong>How good it is.</strong> ";
  $("quality").append(accuracy
    ? `The network ${name} gets ${(100 * accuracy).toFixed(1)}% of ${data}’s ${faces.toLocaleString("en")} `
      + "test faces right, going by their labels. On photos unlike those, as yours may be, it is "
      + "wrong more often."
    : `There is no record of how good the network ${name} is: expect it to be wrong often.`);
  $("privacy").innerHTML = "<strong>Your pictures stay on this machine.</strong> ";
  $("privacy").append(network.backend === "server"
    ? "They go only to the program that serves this page, which writes none of them to disk."
    : "They are analyzed in this browser and sent nowhere.");
  $("legend").replaceChildren(...network.expressions.map((expression) => {
    const item = document.createElement("li"), swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = colorOf(expression);
    item.append(swatch, expression);
    return item;
  }));
  $("samples").hidden = !network.samples.length;
  $("samples").querySelector("ul").replaceChildren(...network.samples.map(({ file, title }) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const image = Object.assign(new Image(), { src: `samples/${file}`, alt: "" });
    button.type = "button";
    button.append(image, title);
    button.addEventListener("click", async () => {
      try {
        const answer = await fetch(image.src);
        usePhoto(new File([await answer.blob()], file));
      } catch {
        fail(`The portrait ${file} could not be fetched.`);
      }
    });
    item.append(button);
    return item;
  }));
}

try {
  const answer = await fetch("network.json");
  if (!answer.ok) throw new Error(`network.json: ${answer.status}`);
  network = await answer.json();
  tellAbout();
  connect();
  cameraState();
  if (network.backend === "browser") summary(`Downloading the networks, once (${network.megabytes} MB) …`);
  analyzing = prepare(network);
  analyzing.then(
    () => {
      document.documentElement.dataset.ready = "yes";
      if (!turn) summary("Nothing to look at yet.");
    },
    (error) => problem(error.message),
  );
} catch (error) {
  problem(`This page could not start: ${error.message}`);
}
