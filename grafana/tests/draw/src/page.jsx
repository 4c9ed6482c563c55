// One dashboard as a page: its panels on Grafana's grid, each drawn by the component that Grafana draws it with.
import { createTheme, EventBusSrv, ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome, PanelContextProvider } from '@grafana/ui';
import { Component } from 'react';
import { createRoot } from 'react-dom/client';
import { frames } from './frames.js';
import { Drawn } from './panels.jsx';
import { prepare, start } from './prepare.js';

// Of Grafana: a column of 24, a row of 30 pixels with 8 between them; below 769 pixels one panel under the other.
const ROW = 30;
const GAP = 8;
const NARROW = 769;
const ZONE = 'utc';

class Caught extends Component {
  state = {};
  static getDerivedStateFromError(error) {
    return { error };
  }
  render() {
    return this.state.error ? <pre className="failed">{String(this.state.error.stack)}</pre> : this.props.children;
  }
}

// Rows stand open: what is in them is drawn too.
function placed(board, width) {
  const column = (width - GAP * 25) / 24;
  const narrow = width < NARROW;
  let down = GAP;
  const boxes = [];
  for (const panel of board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])) {
    const { x, y, w, h } = panel.gridPos;
    const whole = narrow || panel.type === 'row';
    const height = h * ROW + (h - 1) * GAP;
    const top = narrow ? down : GAP + y * (ROW + GAP);
    boxes.push({ panel, top, height, left: whole ? GAP : GAP + x * (column + GAP), width: whole ? width - 2 * GAP : w * column + (w - 1) * GAP });
    down = Math.max(down, top + height + GAP);
  }
  return { boxes, height: down };
}

function Page({ drawing, ready, theme, width }) {
  const { boxes, height } = placed(drawing.board, width);
  return (
    <div className="page" style={{ width }}>
      <header>
        <h1>{drawing.board.title}</h1>
        {drawing.variables.map(({ label, value }) => <span key={label} className="variable">{label} <b>{value}</b></span>)}
      </header>
      <main style={{ position: 'relative', height }}>
        {boxes.map(({ panel, ...box }) => panel.type === 'row' ? (
          <h2 key={panel.id} style={{ position: 'absolute', left: box.left, top: box.top, width: box.width, height: box.height }}>⌄ {panel.title}</h2>
        ) : (
          <section key={panel.id} data-panel={panel.title || 'headline'} data-kind={panel.type}
            style={{ position: 'absolute', left: box.left, top: box.top, width: box.width, height: box.height }}>
            <PanelChrome width={box.width} height={box.height} title={panel.title} description={panel.description}
              hoverHeader={!panel.title} titleItems={panel.timeFrom && <small className="since">Last {panel.timeFrom}</small>}>
              {(innerWidth, innerHeight) => (
                <Caught>
                  <Drawn panel={panel} data={ready.get(panel.id)} width={innerWidth} height={innerHeight} theme={theme} zone={ZONE}
                    drawing={drawing} />
                </Caught>
              )}
            </PanelChrome>
          </section>
        ))}
      </main>
    </div>
  );
}

function styles(theme) {
  return `
    body { margin: 0; overflow: visible; background: ${theme.colors.background.canvas}; }
    .page { font-family: ${theme.typography.fontFamily}; color: ${theme.colors.text.primary}; }
    header { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 12px 8px 4px; }
    header h1 { font-size: 18px; margin: 0 16px 0 0; }
    .variable { font-size: 12px; padding: 4px 8px; border: 1px solid ${theme.colors.border.medium}; border-radius: 2px; color: ${theme.colors.text.secondary}; }
    main h2 { font-size: 14px; margin: 0; display: flex; align-items: center; font-weight: 500; }
    .since { color: ${theme.colors.text.link}; white-space: nowrap; }
    .none { height: 100%; display: flex; align-items: center; justify-content: center; text-align: center; color: ${theme.colors.text.secondary}; }
    .failed { color: ${theme.colors.error.text}; font-size: 11px; }
    .lanes { font-size: 12px; }
    .lane { display: flex; align-items: stretch; }
    .lane .name { text-align: right; padding-right: 8px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; align-self: center; flex: none; box-sizing: border-box; }
    .lane .track { position: relative; flex: 1; }
    .lane .span { position: absolute; top: 7%; bottom: 7%; overflow: hidden; white-space: nowrap; padding-left: 3px; box-sizing: border-box; display: flex; align-items: center; }
    .axis { display: flex; justify-content: space-between; color: ${theme.colors.text.secondary}; }
    .key { display: flex; flex-wrap: wrap; gap: 4px 12px; padding-top: 6px; font-size: 12px; }
    .key i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 6px; vertical-align: middle; }
  `;
}

window.draw = async (drawing, mode, width) => {
  const theme = createTheme({ colors: { mode } });
  document.documentElement.style.colorScheme = mode;
  const replace = (text) => text?.replace?.(/\$\{?(\w+)(?::\w+)?\}?/g, (found, name) => drawing.values[name] ?? found) ?? text;
  const ready = new Map();
  const all = drawing.board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).filter(({ type }) => type !== 'row');
  for (const panel of all) {
    ready.set(panel.id, await prepare(panel, frames(drawing.answers[panel.id]), theme, replace, ZONE));
  }
  const context = { eventsScope: 'drawing', eventBus: new EventBusSrv(), sync: () => 0 };
  const style = document.createElement('style');
  style.textContent = styles(theme);
  document.head.append(style);
  const root = createRoot(document.getElementById('root'));
  // Texts are measured as they are drawn: their font must be there before.
  root.render(<ThemeContext.Provider value={theme}><GlobalStyles /></ThemeContext.Provider>);
  const declared = () => [...document.fonts].some(({ family }) => /^["']?Inter["']?$/.test(family));
  for (let frame = 0; !declared(); frame += 1) {
    if (frame === 1000) {
      throw new Error('@grafana/ui declares no font Inter');
    }
    await new Promise(requestAnimationFrame);
  }
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 14px Inter`)));
  root.render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <Page drawing={drawing} ready={ready} theme={theme} width={width} />
      </PanelContextProvider>
    </ThemeContext.Provider>);
};
window.heightOf = (drawing, width) => placed(drawing.board, width).height;
start();
