/** The style of a gallery: a quiet grid of faces, light and dark, from 360 pixels on. */
export const galleryStyle = `
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--text:#1c2330;--soft:#5b6472;--line:#dfe3ea;--mark:#1f6feb;--none:#e6e9ef;--figure:#a9b2c0}
@media (prefers-color-scheme:dark){:root{--ground:#12151b;--card:#1b2029;--text:#e8ebf1;--soft:#9aa4b4;--line:#2b323e;--mark:#6ea8fe;--none:#2a313d;--figure:#5c6778}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.45 system-ui,sans-serif}
header{position:sticky;top:0;z-index:1;background:var(--ground);border-bottom:1px solid var(--line);padding:16px clamp(12px,3vw,32px) 12px}
h1{font-size:1.25rem;margin:0 0 2px}
p{margin:0;color:var(--soft)}
form{display:flex;flex-wrap:wrap;gap:8px;margin:12px 0 0;align-items:center}
#statuses{display:flex;flex-wrap:wrap;gap:6px}
input{flex:1 1 200px;min-width:0;max-width:360px;font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:7px 11px}
button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:999px;padding:6px 13px;cursor:pointer}
button[aria-pressed=true]{background:var(--mark);border-color:var(--mark);color:#fff}
@media (prefers-color-scheme:dark){button[aria-pressed=true]{color:#0b1220}}
button:disabled{opacity:.45;cursor:default}
button:focus-visible,input:focus-visible{outline:2px solid var(--mark);outline-offset:2px}
button b{font-weight:600;margin-left:5px}
main{padding:20px clamp(12px,3vw,32px)}
ul{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:12px}
li{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 8px 11px;text-align:center;content-visibility:auto;contain-intrinsic-size:auto 176px}
.face{width:84px;height:84px;border-radius:50%;display:block;margin:0 auto 9px;background:var(--none);object-fit:cover}
.name{display:block;font-weight:600;font-size:.95rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.number{font-size:.8rem;line-height:1.7;white-space:normal;overflow-wrap:anywhere}
.chat{display:block;font-size:.8rem;color:var(--soft);overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.status{display:inline-block;margin-top:6px;font-size:.75rem;color:var(--soft);border:1px solid var(--line);border-radius:999px;padding:0 8px}
nav{display:flex;gap:12px;align-items:center;justify-content:center;padding:4px 12px 28px}
nav[hidden]{display:none}
.empty{padding:48px 0;text-align:center}
@media (max-width:430px){ul{grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:8px}.face{width:68px;height:68px}.name{font-size:.85rem}.chat{font-size:.72rem}}
@media print{header{position:static}form,nav{display:none}}
`.trim();
