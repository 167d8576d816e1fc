// What a test sees of a page: its connection, and how often a component was drawn in one frame.
const watched = globalThis.watched = { draws: 0, frames: 0, mostInFrame: 0 }

export const drawn = () => { watched.draws++ }

export function watchFrames () {
  let last = watched.draws
  const look = () => {
    watched.frames++
    watched.mostInFrame = Math.max(watched.mostInFrame, watched.draws - last)
    last = watched.draws
    requestAnimationFrame(look)
  }
  watched.frames = watched.mostInFrame = 0
  requestAnimationFrame(look)
}

watched.watchFrames = watchFrames
