//! Entrants with data of their own, all on one disk.

use anyhow::Result;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::Run;
use crate::bare::Bare;
use crate::contest::{self, Entrant, Goal, Heat, Report};
use crate::load;
use crate::server::{Kind, Server, by_hand};
use crate::stage::Stage;

/// Those who will run. Each has so many objects that none runs out.
pub(crate) struct Field {
    folder: TempDir,
    stage: Stage,
    /// Of the clients: one thread, so that the servers have the rest.
    clients: std::rc::Rc<Runtime>,
    entrants: Vec<Entrant<'static>>,
}

/// The groups of the bare loop.
const LARGEST_GROUP: u64 = 64;

impl Field {
    /// With enough for each to run in all rounds.
    pub(crate) fn new(run: &Run, heats: &[Heat]) -> Result<Self> {
        let objects: u64 = heats.iter().map(|heat| heat.deletes).sum();
        let mut field = Self::empty(run)?;
        field.stage.objects = objects * u64::from(run.rounds);
        Ok(field)
    }

    /// For servers that each bring a stage of their own.
    pub(crate) fn empty(run: &Run) -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir_in(&run.disk)?,
            stage: Stage::default(),
            clients: Builder::new_current_thread().enable_all().build()?.into(),
            entrants: Vec::new(),
        })
    }

    /// Enters a server.
    pub(crate) fn enter(&mut self, name: &str, kind: Kind) -> Result<()> {
        self.enter_over(name, kind, self.stage)
    }

    /// Enters Atropos over this much.
    pub(crate) fn enter_grown(&mut self, name: &str, stage: Stage) -> Result<()> {
        self.enter_over(name, Kind::Guests, stage)
    }

    fn enter_over(&mut self, name: &str, kind: Kind, stage: Stage) -> Result<()> {
        let clients = self.clients.clone();
        let data_dir = self.folder.path().join(name);
        match kind {
            Kind::ByHand => by_hand::furnish(stage, &data_dir)?,
            _ => Runtime::new()?.block_on(stage.furnish(&data_dir))?,
        }
        let server = Server::start(kind, &data_dir)?;
        let pid = server.pid();
        let mut next = 0;
        let drive = move |heat: Heat| {
            let numbers = next..next + heat.deletes;
            next = numbers.end;
            clients.block_on(load::delete(server.address(), stage, numbers, heat.clients))
        };
        self.push(name, Some(pid), Box::new(drive));
        Ok(())
    }

    /// Enters the bare loop, which commits as many at once as there are clients.
    pub(crate) fn enter_bare(&mut self, name: &str) -> Result<()> {
        let stage = self.stage;
        let data_dir = self.folder.path().join(name);
        Runtime::new()?.block_on(stage.furnish(&data_dir))?;
        let mut bare = Bare::open(&data_dir)?;
        let mut next = 0;
        let drive = move |heat: Heat| {
            let numbers = next..next + heat.deletes;
            next = numbers.end;
            bare.delete(stage, numbers, LARGEST_GROUP.min(heat.clients as u64))
        };
        self.push(name, None, Box::new(drive));
        Ok(())
    }

    fn push(&mut self, name: &str, pid: Option<u32>, drive: contest::Drive<'static>) {
        let name = name.to_owned();
        self.entrants.push(Entrant { name, drive, pid });
    }

    /// Has each run once, which counts for nothing.
    pub(crate) fn warm_up(&mut self, heat: Heat) -> Result<()> {
        for entrant in &mut self.entrants {
            (entrant.drive)(heat)?;
        }
        Ok(())
    }

    /// Lets them run.
    pub(crate) fn run(self, heats: &[Heat], rounds: u32, goals: &[Goal]) -> Result<Report> {
        contest::run(self.entrants, heats, rounds, goals)
    }
}
