extension Page {
  /// The page's only style sheet. System fonts, no image, no script; colours follow the reader's
  /// light or dark setting, and columns fold into one on a phone.
  static let style: Markup = """
    :root{color-scheme:light dark;--paper:#fdfcfa;--panel:#fff;--ink:#1d2126;--soft:#5c6570;
    --faint:#e7e3dc;--grid:#efece6;--slate:#5f7186;--copper:#bf5716;--teal:#1f7d85;
    --pass:#1c7a4b;--fail:#b3261e;--undecided:#946200;--passbg:#e8f4ec;--failbg:#fbe9e7;
    --undecidedbg:#fbf1db;--mark:#f7dfcb}
    @media(prefers-color-scheme:dark){:root{--paper:#14171b;--panel:#1b1f25;--ink:#e8e6e2;
    --soft:#a0a8b2;--faint:#2d333b;--grid:#262b32;--slate:#93a6bb;--copper:#ef945a;--teal:#58bcc4;
    --pass:#63d29c;--fail:#ff8f86;--undecided:#efbf57;--passbg:#16291f;--failbg:#331a1a;
    --undecidedbg:#2f2613;--mark:#573318}}
    *{box-sizing:border-box}
    html{-webkit-text-size-adjust:100%}
    body{margin:0;background:var(--paper);color:var(--ink);
    font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
    font-variant-numeric:tabular-nums}
    main{max-width:1200px;margin:0 auto;padding:28px 32px 64px}
    h1{font-size:clamp(34px,5vw,52px);line-height:1.05;letter-spacing:-.02em;margin:0;font-weight:700}
    h2{font-size:21px;letter-spacing:-.01em;margin:0 0 4px;font-weight:650}
    h3{font-size:14px;margin:0 0 2px;font-weight:600}
    p{margin:0 0 10px;max-width:74ch}
    .eyebrow{font-size:12px;letter-spacing:.08em;text-transform:uppercase;color:var(--soft);
    margin:0 0 18px}
    .lead{color:var(--soft);margin-bottom:18px}
    section{margin-top:52px}
    .verdict{border-radius:14px;padding:26px 30px 24px;border:1px solid transparent}
    .verdict.pass{background:var(--passbg);border-color:color-mix(in srgb,var(--pass) 28%,transparent)}
    .verdict.fail{background:var(--failbg);border-color:color-mix(in srgb,var(--fail) 28%,transparent)}
    .verdict.undecided{background:var(--undecidedbg);
    border-color:color-mix(in srgb,var(--undecided) 28%,transparent)}
    .verdict.pass h1{color:var(--pass)}.verdict.fail h1{color:var(--fail)}
    .verdict.undecided h1{color:var(--undecided)}
    .verdict h1{display:flex;align-items:center;gap:14px}
    .verdict h1 svg{width:.82em;height:.82em;flex:none}
    .reasons{margin:14px 0 0;padding:0;list-style:none;max-width:88ch}
    .reasons li{margin:3px 0;overflow-wrap:anywhere}
    .models{display:grid;grid-template-columns:1fr auto 1fr;gap:10px 22px;align-items:center;
    margin-top:20px}
    .models .arrow{color:var(--soft);font-size:20px}
    .model{min-width:0}
    .model b{display:block;overflow-wrap:anywhere;font-weight:650}
    .model span{color:var(--soft);font-size:13.5px}
    .role{font-size:11.5px!important;letter-spacing:.06em;text-transform:uppercase;font-weight:600}
    .role.reference{color:var(--slate)!important}.role.candidate{color:var(--copper)!important}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,168px),1fr));
    gap:1px;margin-top:22px;background:var(--faint);border:1px solid var(--faint);border-radius:12px;
    overflow:hidden}
    .tile{background:var(--panel);padding:14px 18px 13px}
    .tile span{display:block;font-size:12.5px;color:var(--soft);line-height:1.35}
    .tile b{display:block;font-size:25px;font-weight:620;letter-spacing:-.015em;line-height:1.3;
    white-space:nowrap}
    .scroll{overflow-x:auto;margin:10px 0 0;-webkit-overflow-scrolling:touch}
    table{border-collapse:collapse;width:100%;font-size:13.5px}
    th{font-weight:600;color:var(--soft);text-align:right;padding:7px 10px;white-space:nowrap;
    border-bottom:1px solid var(--faint);font-size:12.5px}
    td{text-align:right;padding:7px 10px;border-bottom:1px solid var(--grid);white-space:nowrap}
    th:first-child,td:first-child{text-align:left;padding-left:0}
    th.text,td.text{text-align:left;white-space:normal;overflow-wrap:anywhere}
    td.text{min-width:136px}th.text{overflow-wrap:normal}
    td.text:last-child code{display:inline-block;min-width:280px}
    td:first-child,th:first-child{position:sticky;left:0;background:var(--paper)}
    tr:last-child td{border-bottom:0}
    .chip{display:inline-block;font-size:12px;font-weight:600;border-radius:99px;padding:1px 9px}
    .chip.pass{color:var(--pass);background:var(--passbg)}
    .chip.fail{color:var(--fail);background:var(--failbg)}
    .chip.undecided{color:var(--undecided);background:var(--undecidedbg)}
    .plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));
    gap:18px;margin-top:18px}
    figure{margin:0;background:var(--panel);border:1px solid var(--faint);border-radius:12px;
    padding:14px 14px 12px;min-width:0}
    figcaption{color:var(--soft);font-size:12.5px;line-height:1.45;margin-top:6px}
    figure>svg{display:block;width:100%;height:auto;margin-top:4px}
    .legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:12.5px;color:var(--soft)}
    .legend span{display:inline-flex;align-items:center;gap:5px}
    .key{display:inline-block;width:10px;height:10px;border-radius:3px;background:var(--slate)}
    .grid{stroke:var(--grid)}.axis{stroke:var(--faint)}
    .tick{fill:var(--soft);font-size:10.5px}.label{fill:var(--soft);font-size:11px}
    .label.on{paint-order:stroke;stroke:var(--panel);stroke-width:4px;fill:var(--ink)}
    .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
    .rule{stroke:var(--soft);stroke-dasharray:3 3}.limit{stroke:var(--fail);stroke-dasharray:4 3}
    .whisker{stroke:var(--copper);stroke-width:2}
    .dot{stroke:var(--panel);stroke-width:1}
    .causal,.reference{--c:var(--slate)}.masked,.candidate{--c:var(--copper)}
    .autoregressive,.other{--c:var(--teal)}
    .line.causal,.line.masked,.line.autoregressive,.line.candidate,.line.reference{stroke:var(--c)}
    .dot.causal,.dot.masked,.dot.autoregressive,.dot.candidate,.dot.reference,
    .bar.causal,.bar.masked,.bar.autoregressive,.bar.candidate,.bar.reference{fill:var(--c)}
    .key.causal,.key.masked,.key.autoregressive,.key.candidate,.key.reference{background:var(--c)}
    .dot.light{fill-opacity:.55}
    .bars{margin:12px 0 0;display:grid;grid-template-columns:auto 1fr auto;gap:7px 12px;
    align-items:center;font-size:13.5px}
    .bars .track{background:var(--grid);border-radius:4px;height:14px;overflow:hidden}
    .bars .fill{background:var(--copper);height:100%;border-radius:4px;min-width:1px}
    .pair{margin-top:26px}
    .pair>h3{font-size:15px}
    .query{color:var(--soft);margin:2px 0 10px;white-space:pre-wrap;overflow-wrap:anywhere}
    .cause{font-size:13.5px;margin:0 0 10px}
    .duo{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:14px}
    .out{background:var(--panel);border:1px solid var(--faint);border-radius:12px;padding:12px 14px;
    min-width:0}
    .out header{display:flex;justify-content:space-between;gap:8px;font-size:12.5px;
    color:var(--soft);margin-bottom:6px;flex-wrap:wrap}
    .out pre{margin:12px 0 0;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
    white-space:pre-wrap;overflow-wrap:anywhere;max-height:22em;overflow-y:auto}
    mark{background:var(--mark);color:inherit;border-radius:3px}
    .lane{display:block;width:100%}
    .lane .plan{fill:var(--faint)}.lane .verify,.lane .check{fill:var(--slate);fill-opacity:.55}
    .lane .propose{fill:var(--teal);fill-opacity:.5}.lane .done{fill:var(--copper)}
    .lane .held{fill:var(--copper);fill-opacity:.13}
    .key.plan{background:var(--faint)}
    .key.verify{background:color-mix(in srgb,var(--slate) 55%,var(--panel))}
    .key.propose{background:color-mix(in srgb,var(--teal) 50%,var(--panel))}
    .key.done{background:var(--copper)}
    .key.held{background:color-mix(in srgb,var(--copper) 13%,var(--panel))}
    .axisnote{display:flex;justify-content:space-between;font-size:11.5px;color:var(--soft);
    margin-top:3px}
    code,.mono{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
    overflow-wrap:anywhere}
    .tok{background:var(--grid);border-radius:4px;padding:0 4px;white-space:pre-wrap}
    dl{display:grid;grid-template-columns:minmax(120px,auto) 1fr;gap:5px 18px;margin:12px 0 0;
    font-size:13.5px}
    dt{color:var(--soft)}dd{margin:0;min-width:0;overflow-wrap:anywhere}
    footer{margin-top:56px;color:var(--soft);font-size:12.5px;border-top:1px solid var(--faint);
    padding-top:14px}
    @media(max-width:640px){main{padding:16px 14px 40px}.verdict{padding:18px 18px 16px}
    .models{grid-template-columns:1fr}.models .arrow{display:none}section{margin-top:40px}
    .tiles{grid-template-columns:1fr 1fr}.tile{padding:11px 13px}.tile b{font-size:20px}
    dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}}
    @media print{body{background:#fff}figure,.out{break-inside:avoid}}
    """
}
