/// One chart: axes, grid and marks as inline SVG, coloured by the page's CSS classes.
///
/// All charts are 360 units wide, which is about their width on the page at any window size, so
/// labels keep their size.
struct Plot {
  static let width = 360.0
  static let height = 232.0

  let title: String
  let x: Scale
  let y: Scale
  private let xAxis: Axis
  private let yAxis: Axis
  private var marks = Markup.empty

  private static let left = 52.0
  private static let right = 12.0
  private static let top = 12.0
  private static let bottom = 40.0

  /// One axis of a chart.
  struct Axis {
    let label: String
    var kind = Scale.Kind.linear
    let domain: ClosedRange<Double>
    /// Places and texts instead of round numbers; an empty list hides the axis.
    var ticks: [(Double, String)]?
  }

  init(title: String, x xAxis: Axis, y yAxis: Axis) {
    self.title = title
    self.xAxis = xAxis
    self.yAxis = yAxis
    let left = yAxis.ticks?.isEmpty == true ? Self.right : Self.left
    x = Scale(xAxis.kind, xAxis.domain, from: left, to: Self.width - Self.right)
    y = Scale(yAxis.kind, yAxis.domain, from: Self.height - Self.bottom, to: Self.top)
  }

  // MARK: Marks

  mutating func line(_ points: [(Double, Double)], _ style: String) {
    guard let first = points.first else { return }
    var path: Markup = "M\(x(first.0)) \(y(first.1))"
    for point in points.dropFirst() { path += "L\(x(point.0)) \(y(point.1))" }
    marks += "<path class=\"line \(style)\" d=\"\(path)\"/>"
  }

  mutating func dot(_ px: Double, _ py: Double, _ style: String, radius: Double = 3, _ tip: String)
  {
    marks += """
      <circle class="dot \(style)" cx="\(x(px))" cy="\(y(py))" r="\(radius)">\
      <title>\(tip)</title></circle>
      """
  }

  mutating func bar(
    from low: Double, to high: Double, height: Double, _ style: String, _ tip: String
  ) {
    let base = y(y.domain.lowerBound)
    let top = y(height)
    guard base - top > 0 else { return }
    marks += """
      <rect class="bar \(style)" x="\(x(low) + 0.75)" y="\(top)" \
      width="\(max(0.5, x(high) - x(low) - 1.5))" height="\(base - top)">\
      <title>\(tip)</title></rect>
      """
  }

  /// A straight line across, such as a limit or the diagonal.
  mutating func rule(
    _ from: (Double, Double), _ to: (Double, Double), _ style: String = "rule"
  ) {
    marks += """
      <line class="\(style)" x1="\(x(from.0))" y1="\(y(from.1))" \
      x2="\(x(to.0))" y2="\(y(to.1))"/>
      """
  }

  /// A row's name at the left, its baseline just under a height.
  mutating func text(_ text: String, atTopOf height: Double) {
    marks += "<text class=\"label on\" x=\"\(x.start)\" y=\"\(y(height) + 8)\">\(text)</text>"
  }

  // MARK: The figure

  /// - Parameters:
  ///   - caption: what to see in it, below.
  ///   - legend: names with the class of their colour.
  func figure(_ caption: String, legend: [(String, String)] = []) -> Markup {
    let keys = legend.map { name, style -> Markup in
      "<span><i class=\"key \(style)\"></i>\(name)</span>"
    }
    return """
      <figure><h3>\(title)</h3>\(Markup.when(!keys.isEmpty, "<div class=\"legend\">\(keys.joined())</div>"))
      <svg viewBox="0 0 \(Self.width) \(Self.height)" role="img" aria-label="\(title)">
      \(axes)\(marks)</svg>
      <figcaption>\(caption)</figcaption></figure>

      """
  }

  private var axes: Markup {
    let base = Self.height - Self.bottom
    var all = Markup.empty
    let left = x.start
    for (tick, text) in yAxis.ticks ?? y.ticks.map({ ($0, Figure.tick($0, yAxis.kind)) }) {
      all += """
        <line class="grid" x1="\(left)" x2="\(Self.width - Self.right)" \
        y1="\(y(tick))" y2="\(y(tick))"/>\
        <text class="tick" x="\(left - 6)" y="\(y(tick) + 3.5)" text-anchor="end">\
        \(text)</text>
        """
    }
    for (tick, text) in xAxis.ticks ?? x.ticks.map({ ($0, Figure.tick($0, xAxis.kind)) }) {
      all += """
        <line class="grid" x1="\(x(tick))" x2="\(x(tick))" y1="\(Self.top)" y2="\(base)"/>\
        <text class="tick" x="\(x(tick))" y="\(base + 14)" text-anchor="middle">\(text)</text>
        """
    }
    all += """
      <line class="axis" x1="\(left)" x2="\(Self.width - Self.right)" y1="\(base)" y2="\(base)"/>\
      <text class="label" x="\((left + Self.width - Self.right) / 2)" y="\(Self.height - 6)" \
      text-anchor="middle">\(xAxis.label)</text>\
      <text class="label" transform="translate(11 \((Self.top + base) / 2)) rotate(-90)" \
      text-anchor="middle">\(yAxis.label)</text>
      """
    return all
  }
}
