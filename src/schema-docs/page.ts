/** The page's colours and layout; dark and light follow the system until someone chooses. */
export const STYLE = `
:root{--back:#fff;--card:#f6f7f9;--text:#1b1f24;--dim:#5b6470;--line:#c9d0d8;--link:#0b5cad;--mark:#fff1b8;color-scheme:light}
@media(prefers-color-scheme:dark){:root:not([data-theme=light]){--back:#14171b;--card:#1d2228;--text:#e4e8ec;--dim:#9aa4af;--line:#3a424c;--link:#74b5f5;--mark:#5a4a12;color-scheme:dark}}
:root[data-theme=dark]{--back:#14171b;--card:#1d2228;--text:#e4e8ec;--dim:#9aa4af;--line:#3a424c;--link:#74b5f5;--mark:#5a4a12;color-scheme:dark}
*{box-sizing:border-box}html{scroll-padding-top:12px}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif;display:grid;grid-template-columns:350px minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:16px;border-right:1px solid var(--line);background:var(--card)}
nav h1{font-size:18px;margin:0}nav a{overflow-wrap:break-word}#menu summary,.picture summary{display:none}nav ul{list-style:none;margin:0;padding:0}nav ul ul{margin:2px 0 10px 12px;font-size:13px}nav .count,#hits{color:var(--dim);margin:4px 0 10px;font-size:13px}
#search{width:100%;padding:8px;font:inherit;background:var(--back);color:inherit;border:1px solid var(--line);border-radius:6px}
#found li{padding:2px 0;font-size:13px;overflow-wrap:anywhere}#theme{margin-top:12px;font:inherit;font-size:13px}
main{padding:16px 28px;max-width:1200px;min-width:0}a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
h2{margin:36px 0 8px;border-bottom:2px solid var(--line)}h3{margin:0 0 4px;font-size:17px;overflow-wrap:anywhere}footer{color:var(--dim);font-size:13px;margin-top:36px}
.diagram{overflow:auto;max-height:80vh;border:1px solid var(--line);border-radius:8px;padding:8px;margin-bottom:16px}
.diagram svg{max-width:none;font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}.diagram text{fill:var(--text)}.diagram polygon,.diagram path,.diagram polyline{stroke:var(--dim);fill:var(--card)}
.diagram .edge path{fill:none}.diagram .edge polygon{fill:var(--dim)}.diagram .graph>polygon{display:none}.diagram .bare{fill:none}.diagram .other path{stroke-dasharray:3 2}
.table{border:1px solid var(--line);border-radius:8px;padding:14px;margin:0 0 18px}.table:target{outline:3px solid var(--link)}
.table p{margin:4px 0 8px}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:4px 8px;border-top:1px solid var(--line)}td:first-child{white-space:nowrap}th{color:var(--dim);font-weight:600;border-top:0}
tr.hit{background:var(--mark)}code{font:13px ui-monospace,monospace;overflow-wrap:break-word}li,.by,dd{overflow-wrap:anywhere}.by{color:var(--dim)}details{margin-top:6px}
@media(max-width:900px){body{display:block}nav{position:static;height:auto}main{padding:12px}#menu summary,.picture summary{display:list-item;cursor:pointer}.picture{margin-bottom:12px}thead{display:none}table,tbody,tr,td{display:block}tr{border-top:1px solid var(--line);padding:6px 0}td{border:0;padding:0 0 0 12px;overflow-wrap:anywhere}td:first-child{padding:0;white-space:normal}td code{overflow-wrap:anywhere}td:first-child code{font-weight:600}td:empty{display:none}td:last-child{color:var(--dim)}}@media print{nav{display:none}body{display:block}}`;

/** Search over what the page itself holds; the theme that was chosen. */
export const SCRIPT = `
(() => {
  const tables = [...document.querySelectorAll('article.table')].map((article) => ({
    id: article.id,
    name: article.querySelector('h3').textContent,
    text: (article.querySelector('p')?.textContent ?? '').toLowerCase(),
    columns: [...article.querySelectorAll('tbody tr')].map((row) => ({ row, name: row.querySelector('code').textContent })),
  }));
  const small = matchMedia('(max-width: 900px)');
  const fold = () => { for (const part of document.querySelectorAll('#menu, .picture')) part.open = !small.matches; };
  small.addEventListener('change', fold);
  fold();
  const search = document.getElementById('search');
  const found = document.getElementById('found');
  const areas = document.getElementById('areas');
  const hits = document.getElementById('hits');
  const item = (href, text) => {
    const li = document.createElement('li');
    const a = document.createElement('a');
    a.href = '#' + href;
    a.textContent = text;
    li.append(a);
    return li;
  };
  const count = (number, what) => number + ' ' + what + (number === 1 ? '' : 's');
  const look = () => {
    const wanted = search.value.trim().toLowerCase();
    for (const row of document.querySelectorAll('tr.hit')) row.classList.remove('hit');
    found.hidden = !wanted;
    areas.hidden = !!wanted;
    hits.textContent = '';
    if (!wanted) return;
    const rank = (name) => (name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2);
    const byName = tables.filter(({ name }) => name.toLowerCase().includes(wanted)).sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
    const byText = tables.filter((table) => !byName.includes(table) && table.text.includes(wanted));
    const columns = tables.flatMap((table) => table.columns.filter(({ name }) => name.toLowerCase().includes(wanted)).map((column) => ({ table: table.name, ...column })));
    for (const { row } of columns) row.classList.add('hit');
    hits.textContent = count(byName.length + byText.length, 'table') + ', ' + count(columns.length, 'column');
    found.replaceChildren(...[...byName, ...byText].map(({ id, name }) => item(id, name)), ...columns.slice(0, 300).map(({ table, row, name }) => item(row.id, table + '.' + name)));
  };
  search.addEventListener('input', look);
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') found.querySelector('a')?.click();
    if (event.key === 'Escape') { search.value = ''; look(); }
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  });
  const root = document.documentElement;
  const store = (value) => { try { if (value) localStorage.setItem('kasm-db-theme', value); return localStorage.getItem('kasm-db-theme'); } catch { return null; } };
  const chosen = store();
  if (chosen) root.dataset.theme = chosen;
  document.getElementById('theme').addEventListener('click', () => {
    const dark = (root.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
    root.dataset.theme = dark ? 'light' : 'dark';
    store(root.dataset.theme);
  });
})();`;
