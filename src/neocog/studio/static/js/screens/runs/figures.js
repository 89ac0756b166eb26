// Drawings of this screen on a canvas: the matrix for export, and the reliability diagram.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Counts by true class (rows) and predicted class, on white.
export function drawConfusion(canvas, classes, counts) {
  const side = classes.length > 20 ? 12 : 40, head = 110, n = classes.length;
  canvas.width = head + n * side;
  canvas.height = head + n * side;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.font = `${Math.min(13, side - 2)}px sans-serif`;
  pen.textBaseline = "middle";
  counts.forEach((row, y) => {
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    row.forEach((count, x) => {
      const share = Math.sqrt(count / sum);
      pen.fillStyle = count ? (x === y ? `rgba(31, 95, 191, ${0.1 + 0.5 * share})` : `rgba(179, 38, 30, ${0.1 + 0.5 * share})`) : "#f3f5f8";
      pen.fillRect(head + x * side, head + y * side, side - 1, side - 1);
      if (side >= 30 && count) { pen.fillStyle = "#16202c"; pen.textAlign = "center"; pen.fillText(String(count), head + (x + 0.5) * side, head + (y + 0.5) * side); }
    });
    pen.fillStyle = "#16202c";
    pen.textAlign = "right";
    pen.fillText(classes[y], head - 6, head + (y + 0.5) * side, head - 8);
    pen.save();
    pen.translate(head + (y + 0.5) * side, head - 6);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "left";
    pen.fillText(classes[y], 0, 0, head - 8);
    pen.restore();
  });
}

// Bars of accuracy over confidence, and the diagonal.
export function drawReliability(canvas, bins) {
  const side = 360, edge = 44, ratio = 2;
  canvas.width = canvas.height = (side + edge + 12) * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const x = (share) => edge + share * side, y = (share) => 8 + (1 - share) * side;
  pen.fillStyle = css("--panel");
  pen.fillRect(0, 0, side + edge + 12, side + edge + 12);
  pen.font = "12px system-ui, sans-serif";
  pen.lineWidth = 1;
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    pen.strokeStyle = css("--line");
    pen.beginPath(); pen.moveTo(x(0), y(share)); pen.lineTo(x(1), y(share)); pen.stroke();
    pen.fillStyle = css("--quiet");
    pen.textAlign = "right"; pen.textBaseline = "middle"; pen.fillText(`${100 * share}%`, edge - 6, y(share));
    pen.textAlign = "center"; pen.textBaseline = "top"; pen.fillText(`${100 * share}%`, x(share) - (share === 1 ? 12 : 0), y(0) + 6);
  }
  const most = Math.max(...bins.map((bin) => bin.count));
  for (const bin of bins) {
    pen.globalAlpha = 0.35 + 0.65 * Math.sqrt(bin.count / most);
    pen.fillStyle = css("--accent");
    pen.fillRect(x(bin.low) + 1, y(bin.accuracy), x(bin.high) - x(bin.low) - 2, y(0) - y(bin.accuracy));
    pen.globalAlpha = 1;
    pen.strokeStyle = css("--bad");
    pen.lineWidth = 3;
    pen.beginPath(); pen.moveTo(x(bin.low) + 1, y(bin.confidence)); pen.lineTo(x(bin.high) - 1, y(bin.confidence)); pen.stroke();
  }
  pen.strokeStyle = css("--ink");
  pen.lineWidth = 1;
  pen.setLineDash([5, 4]);
  pen.beginPath(); pen.moveTo(x(0), y(0)); pen.lineTo(x(1), y(1)); pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = css("--quiet");
  pen.textAlign = "center"; pen.fillText("confidence (red: its mean in each bar)", x(0.5), y(0) + 22);
}
