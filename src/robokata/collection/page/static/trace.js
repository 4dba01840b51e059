// Twenty seconds of latency and tracking error as two lines.

const SHOWN_MS = 20000;

export class Trace {
  constructor(canvas) {
    this.pen = canvas.getContext("2d");
    this.lines = [{colour: "#7fb2e5", points: [], least: 20}, {colour: "#f2a65a", points: [], least: 30}];
  }

  add(latency_ms, tracking_mm) {
    const now = performance.now();
    if (tracking_mm !== null) this.lines[0].points.push([now, tracking_mm]);
    if (latency_ms !== null) this.lines[1].points.push([now, latency_ms]);
  }

  draw() {
    const {pen} = this, {width, height} = pen.canvas, now = performance.now();
    pen.clearRect(0, 0, width, height);
    pen.strokeStyle = "#2b313b";
    pen.lineWidth = 1;
    pen.strokeRect(0.5, height - 0.5, width, 0);
    for (const line of this.lines) {
      line.points = line.points.filter(([at]) => now - at < SHOWN_MS);
      const top = Math.max(line.least, ...line.points.map(([, value]) => value)) * 1.1;
      pen.strokeStyle = line.colour;
      pen.lineWidth = 2;
      pen.beginPath();
      line.points.forEach(([at, value], index) => {
        const x = width * (1 - (now - at) / SHOWN_MS), y = height - 2 - (height - 6) * value / top;
        index ? pen.lineTo(x, y) : pen.moveTo(x, y);
      });
      pen.stroke();
    }
  }
}
