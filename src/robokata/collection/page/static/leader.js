// A simulated leader arm: its joints are copied to the robot's, as a puppeteer's arm is in ALOHA.

export class Leader {
  name = "leader";
  title = "Leader";

  constructor(app) {
    this.app = app;
    this.joints = {}; // arm -> angles, rad
    this.openings = {};
    this.sliders = [];
  }

  // The leader begins where the robot is: a follower must not jump.
  engage() {
    let at = 0;
    for (const {name, joints} of this.app.arms) {
      this.joints[name] = this.app.action.slice(at, at + joints.length);
      const {opening_m} = this.app.arms.find(arm => arm.name === name);
      this.openings[name] = Math.min(1, Math.max(0, this.app.action[at + joints.length] / (opening_m || 1)));
      at += joints.length + 1;
    }
    this.show();
  }

  // For programs, and for leader arms that a program reads: `robokata.leader.set("left", [...], 0.5)`.
  set(arm, joints_rad, opening) {
    this.app.choose("leader");
    this.joints[arm] = [...joints_rad];
    if (opening !== undefined) this.openings[arm] = opening;
    this.show();
  }

  sample() {
    const out = {};
    for (const {name} of this.app.arms)
      if (this.joints[name]) out[name] = {kind: "joints", values: this.joints[name], opening: this.openings[name] ?? null};
    return out;
  }

  show() {
    for (const {slider, output, read} of this.sliders) {
      slider.value = read();
      output.textContent = Number(slider.value).toFixed(2);
    }
  }

  explain(place) {
    this.sliders = [];
    for (const arm of this.app.arms) {
      const list = document.createElement("div");
      list.className = "sliders";
      if (this.app.arms.length > 1) list.append(Object.assign(document.createElement("h3"), {textContent: arm.name}));
      arm.joints.forEach((joint, index) => {
        const [low, high] = arm.limits[index];
        this.add(list, `leader-${arm.name}-${index}`, joint, low ?? -3.14, high ?? 3.14,
          () => this.joints[arm.name]?.[index] ?? 0, value => (this.joints[arm.name][index] = value));
      });
      this.add(list, `leader-${arm.name}-jaws`, "jaws", 0, 1, () => this.openings[arm.name] ?? 1, value => (this.openings[arm.name] = value));
      place.append(list);
    }
    this.show();
  }

  add(list, id, title, low, high, read, write) {
    const label = Object.assign(document.createElement("label"), {textContent: title.replaceAll("_", " "), htmlFor: id});
    const slider = Object.assign(document.createElement("input"), {type: "range", id, min: low, max: high, step: 0.001});
    const output = document.createElement("output");
    slider.addEventListener("input", () => {
      write(Number(slider.value));
      output.textContent = Number(slider.value).toFixed(2);
    });
    list.append(label, slider, output);
    this.sliders.push({slider, output, read});
  }
}
