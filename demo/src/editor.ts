/** The shared text: CodeMirror with its stock Yjs binding. */
import { defaultKeymap } from '@codemirror/commands';
import { defineLanguageFacet, HighlightStyle, Language, syntaxHighlighting } from '@codemirror/language';
import { EditorState, type Extension } from '@codemirror/state';
import { dropCursor, EditorView, highlightSpecialChars, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { parser, Strikethrough, TaskList } from '@lezer/markdown';
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next';
import type { Awareness } from 'y-protocols/awareness';
import * as Y from 'yjs';
import { guardAwareness } from './peers.ts';

/** The status line stays at the top of the window and would hide the line that was scrolled to. */
const STATUS_HEIGHT_PX = 64;

export function mountEditor(parent: HTMLElement, text: Y.Text, awareness: Awareness): EditorView {
  // Undo takes back one's own edits only, so it is the document's undo manager and not the editor's history.
  const undoManager = new Y.UndoManager(text);
  const state = EditorState.create({
    doc: text.toString(),
    extensions: [
      lineEndings,
      keymap.of([...yUndoManagerKeymap, ...defaultKeymap]),
      highlightSpecialChars(),
      dropCursor(),
      EditorView.lineWrapping,
      EditorView.scrollMargins.of(() => ({ top: STATUS_HEIGHT_PX, bottom: 24 })),
      placeholder('Write here. It is kept on this device first, then sent.'),
      EditorView.contentAttributes.of({ 'aria-label': 'Document', spellcheck: 'true', autocapitalize: 'sentences' }),
      markdown,
      yCollab(text, guardAwareness(awareness, text), { undoManager }),
    ],
  });
  return new EditorView({ parent, state });
}

export function goTo(view: EditorView, index: number): void {
  const at = Math.min(index, view.state.doc.length);
  view.dispatch({ effects: EditorView.scrollIntoView(at, { y: 'center' }) });
}

// The editor would count "\r\n" as one character where the shared text counts two, and every position after it would
// be off. So only "\n" ends a line, and what is pasted comes in with that.
const lineEndings: Extension = [
  EditorState.lineSeparator.of('\n'),
  EditorView.clipboardInputFilter.of((pasted) => pasted.replace(/\r\n?/g, '\n')),
];

const markdown: Extension = [
  new Language(defineLanguageFacet(), parser.configure([TaskList, Strikethrough]), [], 'markdown'),
  syntaxHighlighting(
    HighlightStyle.define([
      { tag: tags.heading1, fontSize: '1.6em', fontWeight: '650', lineHeight: '1.35' },
      { tag: tags.heading2, fontSize: '1.3em', fontWeight: '650', lineHeight: '1.4' },
      { tag: [tags.heading3, tags.heading4, tags.heading5, tags.heading6], fontWeight: '650' },
      { tag: tags.strong, fontWeight: '700' },
      { tag: tags.emphasis, fontStyle: 'italic' },
      { tag: tags.strikethrough, textDecoration: 'line-through' },
      { tag: tags.quote, color: 'var(--ink-soft)', fontStyle: 'italic' },
      { tag: tags.monospace, fontFamily: 'var(--mono)', fontSize: '0.9em' },
      { tag: [tags.link, tags.url], color: 'var(--accent-ink)' },
      { tag: [tags.processingInstruction, tags.labelName], color: 'var(--ink-faint)' },
    ]),
  ),
];
